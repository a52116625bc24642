#pragma once
// The stages after the rows are written. Each reads the kept rows and writes its decisions in the
// order of the rows; the result does not depend on the number of threads. They return the summary
// for the report. Errors: cancelled after stop_requested(), with nothing decided.

#include <filesystem>
#include <functional>

#include "base/json.h"
#include "base/status.h"
#include "curate/filters/pass_rates.h"
#include "curate/stages/decisions.h"
#include "curate/stages/options.h"
#include "curate/stages/row_store.h"

namespace longshot::curate {

struct StageContext {
  const CurateOptions& options;
  const RowStore& rows;
  const RowSet& set;
  std::filesystem::path folder;  // of the state, for files that the stage needs while it runs
  AskAndJudge ask;               // used by hackable and difficulty if there are no samples files
  std::function<void(int64_t done, int64_t total)> on_progress;
};

// Reads all kept rows in windows. `judge` is called on several threads with a row's number and
// {"where", "row"}, and `use` afterwards in the order of the rows with its result.
using RowJudge = std::function<Result<OrderedJson>(size_t row, const OrderedJson& line)>;
Status for_each_kept_row(const StageContext& context, const RowJudge& judge,
                         const std::function<Status(size_t row, const OrderedJson& result)>& use);

// The text of the user's turns of a verl row, and its answer as text.
std::string text_of_row(const OrderedJson& row);
std::string answer_of_row(const OrderedJson& row);

// Runs any stage.
Result<OrderedJson> run_stage(Stage stage, const StageContext& context, DecisionWriter& writer);

// The stages. Reasons of dropped rows: empty, no_answer, too_long; multiple_choice, true_false,
// proof; exact_duplicate, near_duplicate; shared_ngram, similar; guessed; trivial, unsolved; group.
Result<OrderedJson> run_normalize(const StageContext& context, DecisionWriter& writer);
Result<OrderedJson> run_format(const StageContext& context, DecisionWriter& writer);
Result<OrderedJson> run_duplicates(const StageContext& context, DecisionWriter& writer);
Result<OrderedJson> run_contamination(const StageContext& context, DecisionWriter& writer);
Result<OrderedJson> run_tags(const StageContext& context, DecisionWriter& writer);
Result<OrderedJson> run_hackable(const StageContext& context, DecisionWriter& writer);
Result<OrderedJson> run_difficulty(const StageContext& context, DecisionWriter& writer);
Result<OrderedJson> run_balance(const StageContext& context, DecisionWriter& writer);

}  // namespace longshot::curate
