#pragma once
// Runs the stages of `longshot curate` over a folder:
//   state/rows.jsonl, words.txt   all rows of the input
//   state/STAGE.jsonl             what each stage decided
//   prompts.jsonl                 the kept rows, in the order of the input
//   dropped.jsonl                 the other rows: id, where, stage, reason, details
//   report.json, report.html      the funnel
// A stage is done once its file is there, whole and made from the same settings, input and files;
// otherwise it is computed again, and so are those after it. The same command therefore continues
// after any interruption to the same bytes.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/settings/settings.h"
#include "base/status.h"
#include "curate/filters/pass_rates.h"
#include "curate/stages/options.h"

namespace longshot::curate {

// A model that is asked by the stages hackable and difficulty if they have no files of samples.
struct CurateModel {
  AskAndJudge ask;       // empty: there is no model
  OrderedJson settings;  // everything that its answers depend on
};

// `what` is the name of a stage or of a file; total 0: unknown.
using CurateProgress = std::function<void(const std::string& what, int64_t done, int64_t total)>;

// Returns the funnel (curate/stages/funnel.h). The caller holds the lock of the folder. `settings`
// are those that the options were read from. Errors: those of the stages; cancelled after
// stop_requested(), with the finished stages kept.
Result<OrderedJson> curate(const CurateOptions& options, const Settings& settings,
                           const CurateModel& model, const std::filesystem::path& folder,
                           const CurateProgress& on_progress);

// What a run would do: rows, bytes, stages that are done and to do, memory, disk, and the recall of
// the search for duplicates, as lines of text. Reads the files once and changes nothing.
Result<std::string> make_plan(const CurateOptions& options, const Settings& settings,
                              const CurateModel& model, const std::filesystem::path& folder);

}  // namespace longshot::curate
