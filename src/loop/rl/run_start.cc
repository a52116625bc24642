// Start of a run, from nothing or from a checkpoint. Model, data, settings and checkpoints are
// checked completely before anything is written to the run folder.
#include <fmt/format.h>

#include "base/log.h"
#include "base/os/fs.h"
#include "config/validate.h"
#include "loop/rl/run.h"
#include "loop/run_folder/resume.h"

namespace longshot::loop {
namespace {

// Bytes for the files of a checkpoint that TrainableModel::state_bytes() does not cover, such as
// state.json.
constexpr int64_t kRoomForTheRest = int64_t{64} << 10;

}  // namespace

Run::Run(config::TrainConfig config, std::string config_text, std::shared_ptr<train::Gang> gang)
    : gang_(std::move(gang)),
      base_(std::move(config)),
      config_(base_),
      config_text_(std::move(config_text)),
      checkpoints_(config_.trainer.output, config_.trainer.keep_checkpoints) {}

Result<std::unique_ptr<Run>> Run::create(const config::TrainConfig& config,
                                         const std::string& config_text,
                                         std::shared_ptr<train::Gang> gang) {
  LS_RETURN_IF_ERROR(validate(config));
  std::unique_ptr<Run> run(new Run(config, config_text, std::move(gang)));
  LS_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::take(config.trainer.output));
  run->lock_.emplace(std::move(lock));
  const Status started = run->start();
  if (started.ok()) return run;
  if (!run->folder_written_) run->lock_->undo();
  return started;
}

Status Run::start() {
  LS_ASSIGN_OR_RETURN(const StartingPoint from,
                      find_starting_point(checkpoints_, config_.trainer.resume_mode, config_text_));
  inputs_ = fingerprints({{"model.path", {config_.model.path}},
                          {"model.lora_adapter_path", {config_.model.lora_adapter_path}},
                          {"algorithm.kl_reference", {config_.algorithm.kl_reference}},
                          {"data.val_files", config_.data.val_files}});
  inputs_["command"] = "train";
  if (from.checkpoint) LS_RETURN_IF_ERROR(check_settings(from, config_text_, inputs_));
  const std::string directory = from.checkpoint ? from.checkpoint->directory : "";
  if (from.checkpoint) {
    LS_ASSIGN_OR_RETURN(state_,
                        run_state_from_json(from.checkpoint->state, directory + "/state.json"));
    LS_RETURN_IF_ERROR(enter_phase(directory));
  }
  LS_ASSIGN_OR_RETURN(parts_, make_parts(config_, state_.phase, directory, config_text_, gang_));
  config_.trainer.total_iterations = base_.trainer.total_iterations = parts_.total_iterations;
  warn_of_long_warmup();
  if (from.checkpoint) LS_RETURN_IF_ERROR(restore(*from.checkpoint));
  LS_RETURN_IF_ERROR(set_up_rounds_ahead(from.checkpoint.has_value()));
  LS_ASSIGN_OR_RETURN(hand_over_, HandOver::create(config_.hybrid, config_.trainer.output,
                                                   *parts_.rollout, parts_.trainer->model()));
  LS_RETURN_IF_ERROR(publish());
  if (!from.checkpoint) capture_state(0, parts_.publisher->version(), {}, {});
  updates_ = parts_.trainer->model().steps();
  if (config_.trainer.val_only) return enter_val_only_folder();
  if (state_.iteration < config_.trainer.total_iterations)
    LS_RETURN_IF_ERROR(check_room(config_.trainer.output,
                                  parts_.trainer->model().state_bytes() + kRoomForTheRest));
  return enter_folder(from);
}

// Sets the configuration to that of the phase in which the checkpoint was saved.
Status Run::enter_phase(const std::string& checkpoint) {
  const std::vector<config::Phase>& phases = base_.phase.phases;
  LS_RETURN_IF_ERROR(
      config::check_begun_tables(phases, state_.phase.begun, state_.phase.tables, checkpoint));
  state_.phase.tables = config::begun_tables(phases, state_.phase.begun);
  LS_ASSIGN_OR_RETURN(config_,
                      config::config_in_phase(base_, static_cast<size_t>(state_.phase.begun)));
  return ok_status();
}

Status Run::restore(const Checkpoint& checkpoint) {
  const std::string& directory = checkpoint.directory;
  LS_RETURN_IF_ERROR(parts_.trainer->load_state(directory));
  LS_ASSIGN_OR_RETURN(const Json prompts,
                      json_get<Json>(checkpoint.state, "prompts", directory + "/state.json"));
  LS_RETURN_IF_ERROR(
      parts_.prompts->restore(prompts).with_context("data.train_files and its options"));
  state_.prompts = parts_.prompts->snapshot();
  LS_RETURN_IF_ERROR(parts_.replay->load(directory + "/" + kReplayFile));
  parts_.publisher->set_version(state_.policy_version - 1);
  saved_iteration_ = state_.iteration;
  return ok_status();
}

// Evaluations of older checkpoints stay in the log.
Status Run::enter_val_only_folder() {
  folder_written_ = true;
  LS_ASSIGN_OR_RETURN(RunLog log, RunLog::open(config_.trainer.output + "/" + kValOnlyFolder,
                                               state_.iteration - 1));
  log_ = std::make_unique<RunLog>(std::move(log));
  return ok_status();
}

// Begins to write to the run folder.
Status Run::enter_folder(const StartingPoint& from) {
  folder_written_ = true;
  const std::string abandoned = checkpoints_.name_for_abandoned();
  const bool repeats = repeats_logged_steps(checkpoints_, from, config_text_);
  LS_RETURN_IF_ERROR(leave_other_courses(checkpoints_, from, abandoned));
  // A run without a finished iteration repeats the evaluation before training.
  const bool continues = from.checkpoint && !from.foreign && state_.iteration > 0;
  const int64_t logged = continues ? state_.iteration : -1;
  LS_ASSIGN_OR_RETURN(RunLog log,
                      RunLog::open(config_.trainer.output, logged,
                                   {.last_step_is_open = continues && !state_.unfinished.empty(),
                                    .later_steps_to = repeats ? "" : abandoned,
                                    .config = config_text_}));
  log_ = std::make_unique<RunLog>(std::move(log));
  mark_best();
  LS_RETURN_IF_ERROR(write_file_atomic(config_.trainer.output + "/config.toml", config_text_));
  if (!from.checkpoint) return ok_status();
  log::info("continuing after iteration {} of {}", state_.iteration, from.checkpoint->directory);
  if (!from.foreign) return ok_status();
  saved_iteration_ = -1;  // the folder gets a checkpoint of its own
  return save();
}

}  // namespace longshot::loop
