#pragma once
// Where a run begins: from nothing or from a checkpoint, and which settings may differ from the
// attempt before. The rules, which docs/resume.md explains:
//   - A checkpoint is whole by itself. One that does not match its manifest is not used.
//   - `auto` continues from the newest usable checkpoint that is not newer than the one that
//     latest_checkpointed_iteration.txt names. A run that has checkpoints of which none is usable
//     is an error: it never starts over.
//   - A path continues from that checkpoint: a new course of the run. The same command again
//     continues this course.
//   - What is newer than the checkpoint is moved to <run>/abandoned-K.
// Everything but leave_other_courses() only reads.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "config/config.h"
#include "loop/run_folder/checkpoint.h"

namespace longshot::loop {

// In the folder of a run of fixed steps that has ended, whose checkpoints are gone.
inline constexpr char kFinishedFile[] = "finished.json";

struct StartingPoint {
  std::optional<Checkpoint> checkpoint;  // none: from the beginning
  // The user named the checkpoint, and the run has not yet continued from it.
  bool chosen = false;
  // It is not one of the run folder: nothing that lies there belongs to this course.
  bool foreign = false;
};

// `mode`: trainer.resume_mode. `config`: the configuration's text. Error: no checkpoint is usable
// (corrupt; names each with its reason), or "disable" in a folder that holds a run.
Result<StartingPoint> find_starting_point(const CheckpointStore& store, const std::string& mode,
                                          const std::string& config);

// The whole model in the checkpoint that a start would most likely continue from; "" if there is
// none or its run had another model.path. Not checked for damage: find_starting_point() decides.
std::string checkpoint_model(const config::TrainConfig& config);
std::string checkpoint_model(const config::SftConfig& config);

// What identifies the content of the files a run begins with, for state["inputs"]: {key:
// fingerprint}. A model directory counts by its weights, configuration and tokenizer, and by those
// of its base if it is an adapter. Of large files a sample is read. An empty path is left out.
Json fingerprints(const std::vector<std::pair<std::string, std::vector<std::string>>>& inputs);

// Whether the state of a checkpoint can be continued with the present configuration, which is
// compared with state["config"] and state["inputs"]. invalid_argument: a key differs that the state
// depends on. Other differences are warnings.
Status check_settings(const StartingPoint& start, const std::string& config, const Json& inputs);

// Before the run goes its way: moves checkpoints of other courses to `abandoned`, and makes the
// starting point the latest. For a crash at any point: the next `auto` continues the same course.
Status leave_other_courses(CheckpointStore& store, const StartingPoint& start,
                           const std::string& abandoned);

// Whether steps that are logged beyond the starting point will be repeated as they are: then the
// log may forget them. False if they are of another course or of another configuration.
bool repeats_logged_steps(const CheckpointStore& store, const StartingPoint& start,
                          const std::string& config);

// invalid_argument if the disk of `folder` has less than `bytes` free.
Status check_room(const std::string& folder, int64_t bytes);

}  // namespace longshot::loop
