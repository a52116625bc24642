#pragma once
// Chooses where a run begins (from nothing or from a checkpoint), and checks which settings may
// differ from the attempt before. The rules, explained in docs/resume.md:
//   - A checkpoint is whole by itself. One that does not match its manifest is not used.
//   - `auto` continues from the newest usable checkpoint that is not newer than the one that
//     latest_checkpointed_iteration.txt names. A run that has checkpoints of which none is usable
//     is an error: it never starts over.
//   - A path continues from that checkpoint: a new course of the run. The same command again
//     continues this course.
//   - What is newer than the checkpoint is moved to <run>/abandoned-K.
// Only leave_other_courses() writes.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "config/config.h"
#include "loop/run_folder/checkpoint.h"

namespace longshot::loop {

// Marks the folder of a finished offline run, whose checkpoints have been removed.
inline constexpr char kFinishedFile[] = "finished.json";

struct StartingPoint {
  std::optional<Checkpoint> checkpoint;  // none: from the beginning
  // The user named the checkpoint, and the run has not continued from it yet.
  bool chosen = false;
  // The checkpoint is not in the run folder, so no checkpoint there belongs to this course.
  bool foreign = false;
};

// `mode` is trainer.resume_mode, `config` the configuration's text. Errors: no checkpoint is usable
// (corrupt; names each with its reason), a named checkpoint is not usable, the folder holds a
// finished run, or "disable" in a folder that holds a run.
Result<StartingPoint> find_starting_point(const CheckpointStore& store, const std::string& mode,
                                          const std::string& config);

// Returns the path of the whole model in the checkpoint that a start would most likely continue
// from; "" if there is none or its run had another model.path. Does not check for damage;
// find_starting_point() decides.
std::string checkpoint_model(const config::TrainConfig& config);
std::string checkpoint_model(const config::OfflineConfig& config);

// Identifies the content of the files that a run begins with, for state["inputs"]: {key:
// fingerprint}. A path may be a pattern (datasets/files.h). The fingerprint of a model directory
// covers its weights, configuration and tokenizer, and those of its base if it is an adapter. Of
// large files only a sample is read. Empty paths are left out.
Json fingerprints(const std::vector<std::pair<std::string, std::vector<std::string>>>& inputs);

// Checks that the checkpoint can be continued with the current configuration and inputs, which are
// compared with state["config"] and state["inputs"]. invalid_argument if a key or input differs
// that the state depends on. Other differences are warnings.
Status check_settings(const StartingPoint& start, const std::string& config, const Json& inputs);

// Moves checkpoints of other courses to `abandoned`, and makes the starting point the latest
// checkpoint (unless it is foreign). Call it before the run writes. After a crash at any point the
// next `auto` continues the same course.
Status leave_other_courses(CheckpointStore& store, const StartingPoint& start,
                           const std::string& abandoned);

// True if steps that are logged beyond the starting point will be repeated identically, so the log
// may drop them. False if they belong to another course or another configuration.
bool repeats_logged_steps(const CheckpointStore& store, const StartingPoint& start,
                          const std::string& config);

// ok if a run can be written to `folder`, else invalid_argument that names the key.
Status check_output(const std::string& folder);
// invalid_argument if the disk of `folder` has less than `bytes` free.
Status check_room(const std::string& folder, int64_t bytes);

}  // namespace longshot::loop
