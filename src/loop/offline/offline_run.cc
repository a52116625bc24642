#include "loop/offline/offline_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/log.h"
#include "base/os/folder_lock.h"
#include "base/os/fs.h"
#include "base/os/machine.h"
#include "base/os/stop.h"
#include "base/progress_line.h"
#include "base/run_log/metrics_log.h"
#include "base/run_log/run_log.h"
#include "base/settings/config_changes.h"
#include "loop/offline/current_phase.h"
#include "loop/run_folder/checkpoint.h"
#include "loop/run_folder/resume.h"
#include "model/torch/exceptions.h"
#include "model/torch/runtime.h"
#include "train/optimizer/schedule.h"

namespace longshot::loop {
namespace {

namespace fs = std::filesystem;

// Returns " accuracy 0.9821" if the metric is present, else "".
std::string accuracy_text(const Metrics& metrics, const char* name) {
  const auto found = metrics.find(name);
  return found == metrics.end() ? "" : fmt::format(" accuracy {:.4f}", found->second);
}

int64_t steps_of(const config::OfflineConfig& config, const Learner& learner) {
  return config.trainer.total_steps > 0 ? config.trainer.total_steps : learner.steps();
}

// One run: load, steps, save.
class StepRun {
 public:
  StepRun(Learner& learner, const OfflinePhases& run, std::string config_text, std::string command)
      : learner_(learner),
        run_(run),
        config_(run.configs.front()),
        config_text_(std::move(config_text)),
        command_(std::move(command)),
        checkpoints_(config_.trainer.output, config_.trainer.keep_checkpoints) {}

  Result<StepResult> run() {
    LS_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::take(config_.trainer.output));
    LS_ASSIGN_OR_RETURN(const bool finished, find_finished());
    if (finished) return result_;
    const Status loaded = load();
    if (!loaded.ok()) {
      lock.undo();
      return loaded;
    }
    LS_RETURN_IF_ERROR(enter_folder());
    Status done = model::caught(
        [&] { return learner_.prepare(config_.trainer.output, from_.checkpoint.has_value()); });
    if (done.ok()) done = model::caught([&] { return train(); });
    if (done.ok()) done = model::caught([&] { return write_final_model(); });
    if (!done.ok()) return end_early(done);
    remove_checkpoints();
    result_.seconds = watch_.seconds();
    return result_;
  }

 private:
  fs::path finished_file() const { return fs::path(config_.trainer.output) / kFinishedFile; }

  // True if the same run has finished before; result_ is then its result.
  Result<bool> find_finished() {
    std::error_code error;
    if (!fs::exists(finished_file(), error)) return false;
    const std::string where = finished_file().string();
    LS_ASSIGN_OR_RETURN(const Json json, read_json_file(where));
    LS_ASSIGN_OR_RETURN(result_.steps, json_get<int64_t>(json, "steps", where));
    LS_ASSIGN_OR_RETURN(result_.model_directory, json_get<std::string>(json, "model", where));
    LS_ASSIGN_OR_RETURN(const auto config, json_get<std::string>(json, "config", where));
    result_.model_directory = config_.trainer.output + "/" + result_.model_directory;
    LS_ASSIGN_OR_RETURN(const Json files, json_get<Json>(json, "files", where));
    LS_ASSIGN_OR_RETURN(const Json before, json_get<Json>(json, "inputs", where));
    LS_ASSIGN_OR_RETURN(const std::string differs, differences(config, before));
    if (!differs.empty()) {
      return invalid_argument(
          fmt::format("{} holds a run that has ended, with other settings:{}\nName another "
                      "trainer.default_local_dir for a new run, or remove this folder",
                      config_.trainer.output, differs));
    }
    const Status whole = check_files(result_.model_directory, files);
    if (!whole.ok()) {
      return corrupt(
          fmt::format("{} says that the run has ended, but {}; put that back from a "
                      "copy, or remove {} to repeat the run",
                      where, whole.message(), where));
    }
    log::info("{} holds this run already, all {} steps", config_.trainer.output, result_.steps);
    return true;
  }

  // Returns a line for each key or input that differs from the finished run's; "" if none does.
  Result<std::string> differences(const std::string& config, const Json& inputs_before) const {
    LS_ASSIGN_OR_RETURN(const auto changes, config_changes(config, config_text_));
    std::string differs;
    for (const ConfigChange& change : changes) differs += "\n  " + to_text(change);
    const Json present = inputs();
    for (const auto& [key, value] : present.items()) {
      if (inputs_before.value(key, Json()) == value) continue;
      differs +=
          key == "command" ? "\n  the command, which was another one" : "\n  the content of " + key;
    }
    return differs;
  }

  Json inputs() const {
    Json inputs = fingerprints({{"model.path", {config_.model.path}},
                                {"model.lora_adapter_path", {config_.model.lora_adapter_path}},
                                {"model.alphabet_file", {config_.model.alphabet_file}},
                                {"data.train_files", config_.data.train_files},
                                {"data.val_files", config_.data.val_files}});
    for (size_t i = 0; i < run_.phases.size(); ++i)
      if (run_.phases[i].settings.contains("data.train_files"))
        inputs.update(fingerprints({{files_key(i + 1), run_.configs[i + 1].data.train_files}}));
    inputs["command"] = command_;
    return inputs;
  }

  // Those that a checkpoint of phase_ depends on.
  Json inputs_so_far() const {
    Json inputs = inputs_;
    for (size_t i = static_cast<size_t>(phase_.begun); i < run_.phases.size(); ++i)
      inputs.erase(files_key(i + 1));
    return inputs;
  }

  // Loads everything and writes nothing.
  Status load() {
    model::configure_compute(config_.machine.threads);
    LS_ASSIGN_OR_RETURN(from_, find_starting_point(checkpoints_, "auto", config_text_));
    inputs_ = inputs();
    const std::string directory = from_.checkpoint ? from_.checkpoint->directory : "";
    if (from_.checkpoint) {
      LS_ASSIGN_OR_RETURN(phase_,
                          current_phase_from_json(from_.checkpoint->state, run_, directory));
      LS_RETURN_IF_ERROR(check_settings(from_, config_text_, inputs_so_far()));
    }
    LS_RETURN_IF_ERROR(learner_.load(directory));
    LS_RETURN_IF_ERROR(open_rows());
    learner_.start(phase_steps());
    if (phase_.begun > 0)
      learner_.begin_schedule(current().optimizer, phase_.first_step, phase_steps());
    warn_of_long_warmup();
    if (!from_.checkpoint) return ok_status();
    first_step_ = step_ = saved_step_ = from_.checkpoint->iteration;
    const Json& state = from_.checkpoint->state;
    LS_ASSIGN_OR_RETURN(const Json unfinished, json_get<Json>(state, "unfinished", directory));
    LS_ASSIGN_OR_RETURN(unfinished_, metrics_from_json(unfinished, directory));
    // A checkpoint without a position is of rows in memory, whose position is the number of steps.
    LS_ASSIGN_OR_RETURN(rows_, json_get_or(state, "rows", Json{{"batches", step_}}, directory));
    LS_RETURN_IF_ERROR(learner_.seek(rows_, directory + ": the position in data.train_files"));
    return learner_.load_state(directory);
  }

  const config::OfflineConfig& current() const {
    return run_.configs[static_cast<size_t>(phase_.begun)];
  }
  int64_t phase_steps() const { return phase_steps_[static_cast<size_t>(phase_.begun)]; }

  // Opens the rows of the current phase last, after those of the others: their steps are counted,
  // and a mistake in a later phase is found before the first step.
  Status open_rows() {
    const size_t count = run_.configs.size();
    phase_steps_.resize(count);
    for (size_t i = 1; i <= count; ++i) {
      const size_t phase = (static_cast<size_t>(phase_.begun) + i) % count;
      const Status opened = learner_.open_rows(run_.configs[phase], phase);
      if (!opened.ok())
        return phase == 0 ? opened : opened.with_context(run_.phases[phase - 1].name);
      phase_steps_[phase] = steps_of(run_.configs[phase], learner_);
    }
    return ok_status();
  }

  Status enter_folder() {
    const std::string abandoned = checkpoints_.name_for_abandoned();
    const bool repeats = repeats_logged_steps(checkpoints_, from_, config_text_);
    LS_RETURN_IF_ERROR(leave_other_courses(checkpoints_, from_, abandoned));
    LS_ASSIGN_OR_RETURN(RunLog log,
                        RunLog::open(config_.trainer.output, from_.checkpoint ? first_step_ : -1,
                                     {.last_step_is_open = !unfinished_.empty(),
                                      .later_steps_to = repeats ? "" : abandoned,
                                      .config = config_text_}));
    log_ = std::make_unique<RunLog>(std::move(log));
    if (from_.checkpoint)
      log::info("continuing {} after step {}", config_.trainer.output, first_step_);
    updates_ = learner_.updates();
    return write_file_atomic(config_.trainer.output + "/config.toml", config_text_);
  }

  bool phase_has_ended() {
    return phase_steps() > 0 ? step_ >= phase_.first_step + phase_steps() : learner_.finished();
  }
  bool is_last_phase() const { return phase_.begun == static_cast<int64_t>(run_.phases.size()); }
  bool is_last_step() { return is_last_phase() && phase_has_ended(); }

  // The steps of all phases; 0 if they are not known.
  int64_t total_steps() const {
    int64_t total = 0;
    for (const int64_t steps : phase_steps_) {
      if (steps == 0) return 0;
      total += steps;
    }
    return total;
  }

  void warn_of_long_warmup() {
    const std::string problem = train::warmup_problem(current().optimizer, phase_steps());
    if (!problem.empty()) log::warn("{}", problem);
  }

  Status begin_next_phase() {
    const config::Phase& phase = run_.phases[static_cast<size_t>(phase_.begun)];
    phase_ = {phase_.begun + 1, step_};
    LS_RETURN_IF_ERROR(
        learner_.open_rows(current(), static_cast<size_t>(phase_.begun)).with_context(phase.name));
    learner_.begin_schedule(current().optimizer, phase_.first_step, phase_steps());
    warn_of_long_warmup();
    rows_ = learner_.position();
    progress_.clear();
    log::info("{} begins after step {}: {}", phase.name, step_, settings_text(phase));
    return ok_status();
  }

  Status train() {
    progress_.start(first_step_, total_steps());
    if (!unfinished_.empty()) LS_RETURN_IF_ERROR(finish_step());
    while (!is_last_step()) {
      if (phase_has_ended()) {
        LS_RETURN_IF_ERROR(begin_next_phase());
        continue;
      }
      log_->begin_step(step_ + 1);
      Stopwatch step_watch;
      LS_ASSIGN_OR_RETURN(Metrics metrics, learner_.step());
      metrics["timing_s/step"] = step_watch.seconds();
      ++step_;
      unfinished_ = std::move(metrics);
      updates_ = learner_.updates();
      rows_ = learner_.position();
      LS_RETURN_IF_ERROR(finish_step());
      if (stop_requested()) return cancelled(fmt::format("stopped after step {}", step_));
    }
    return ok_status();
  }

  // Saves the finished steps, unless an update is half done.
  Status end_early(const Status& reason) {
    progress_.clear();
    Status end = reason;
    if (learner_.updates() == updates_ && step_ > saved_step_) {
      const Status saved = model::caught([&] { return save_checkpoint(); });
      if (!saved.ok() && reason.message().find(saved.message()) == std::string::npos)
        end = Status(saved.code(), reason.message() + "; " + saved.message());
    }
    const std::string kept = saved_step_ == 0
                                 ? "no step is saved"
                                 : fmt::format(
                                       "{} steps are saved in {}; the same command continues from "
                                       "there",
                                       saved_step_, config_.trainer.output);
    return Status(end.code(), end.message() + "; " + kept);
  }

  Status finish_step() {
    Metrics metrics = unfinished_;
    result_.steps = step_;
    result_.train_loss = metrics["train/loss"];
    result_.tokens += static_cast<int64_t>(metrics["train/tokens"]);
    const bool last = is_last_step();
    const bool test =
        config_.trainer.test_freq > 0 && (step_ % config_.trainer.test_freq == 0 || last);
    const Metrics held_out = test ? learner_.validate() : Metrics();
    metrics.insert(held_out.begin(), held_out.end());
    if (!held_out.empty()) result_.val_loss = held_out.at("val/loss");
    metrics["perf/max_memory_gb"] = peak_memory_gib();
    log_->log(step_, metrics);
    unfinished_.clear();
    show(metrics, test || last);
    const bool due = config_.trainer.save_freq > 0 && step_ % config_.trainer.save_freq == 0;
    if (last || (!due && !save_retry_.due())) return ok_status();
    return save_retry_.after(save_checkpoint());
  }

  void show(Metrics& metrics, bool whole_line) {
    std::string text = fmt::format(
        "loss {:.4f}{} lr {:.2e} {} tok/s", result_.train_loss,
        accuracy_text(metrics, "train/accuracy"), metrics["train/lr"],
        with_commas(static_cast<int64_t>(static_cast<double>(result_.tokens) / watch_.seconds())));
    if (metrics.count("val/loss") > 0)
      text += fmt::format(" | held-out loss {:.4f}{}", result_.val_loss,
                          accuracy_text(metrics, "val/accuracy"));
    whole_line ? progress_.finish(step_, text) : progress_.update(step_, text);
  }

  Status save_checkpoint() {
    const Json state = {{"iteration", step_},     {"unfinished", metrics_to_json(unfinished_)},
                        {"rows", rows_},          {"phase", to_json(phase_, run_)},
                        {"config", config_text_}, {"inputs", inputs_}};
    LS_RETURN_IF_ERROR(checkpoints_.save(step_, state, [&](const std::string& directory) {
      LS_RETURN_IF_ERROR(learner_.write_model(directory, step_).status());
      return learner_.save_state(directory);
    }));
    saved_step_ = step_;
    return ok_status();
  }

  // An existing model of that name is left over from a run that crashed here, because a finished
  // run is never repeated. It is replaced.
  Status write_final_model() {
    const std::string temporary = config_.trainer.output + "/final.tmp";
    LS_RETURN_IF_ERROR(remove_tree(temporary));
    LS_ASSIGN_OR_RETURN(const std::string written, learner_.write_model(temporary, step_));
    const std::string name = fs::path(written).filename().string();
    const std::string target = config_.trainer.output + "/" + name;
    LS_RETURN_IF_ERROR(remove_tree(target));
    LS_RETURN_IF_ERROR(rename_durable(written, target));
    LS_RETURN_IF_ERROR(remove_tree(temporary));
    result_.model_directory = target;
    LS_ASSIGN_OR_RETURN(const Json files, list_with_checksums(target));
    const Json finished = {{"steps", step_},
                           {"model", name},
                           {"files", files},
                           {"config", config_text_},
                           {"inputs", inputs_}};
    return write_file_atomic(finished_file(), dump_json(finished));
  }

  // A failure only costs disk space.
  void remove_checkpoints() {
    Status removed = checkpoints_.forget_latest();
    for (int64_t step : checkpoints_.iterations())
      if (removed.ok()) removed = remove_tree(checkpoints_.directory_of(step));
    if (!removed.ok()) log::warn("{}", removed.message());
  }

  Learner& learner_;
  const OfflinePhases& run_;
  const config::OfflineConfig& config_;  // before the first phase
  std::string config_text_, command_;
  CheckpointStore checkpoints_;
  StartingPoint from_;
  Json inputs_;
  std::unique_ptr<RunLog> log_;
  ProgressLine progress_;
  Stopwatch watch_;
  SaveRetry save_retry_;
  Metrics unfinished_;  // of the last step if not yet logged; empty otherwise
  Json rows_;           // learner_.position() after step_
  int64_t first_step_ = 0, step_ = 0, saved_step_ = 0;
  CurrentPhase phase_;
  std::vector<int64_t> phase_steps_;  // 0: until the rows of all its epochs have been used
  int64_t updates_ = 0;               // learner_.updates() after step_
  StepResult result_;
};

}  // namespace

Status check_learner(Learner& learner, const OfflinePhases& run, bool show_tokens) {
  const config::OfflineConfig& config = run.configs.front();
  model::configure_compute(config.machine.threads);
  LS_RETURN_IF_ERROR(learner.load(""));
  for (size_t i = run.configs.size(); i-- > 0;) {  // the first phase last, for plan()
    LS_RETURN_IF_ERROR(learner.open_rows(run.configs[i], i));
    LS_ASSIGN_OR_RETURN(const std::string rows, learner.describe());
    if (i == 0) {
      log::info("{}", rows);
    } else {
      log::info("{}: {}: {}", run.phases[i - 1].name, settings_text(run.phases[i - 1]), rows);
    }
  }
  LS_ASSIGN_OR_RETURN(const std::vector<std::string> sequences, learner.first_row(show_tokens));
  for (const std::string& sequence : sequences) log::info("{}", sequence);
  learner.start(std::max<int64_t>(1, config.trainer.total_steps));
  LS_ASSIGN_OR_RETURN(const std::vector<std::string> plan, learner.plan());
  for (const std::string& line : plan) log::info("{}", line);
  return ok_status();
}

Result<StepResult> run_steps(Learner& learner, const OfflinePhases& run,
                             const std::string& config_text, const std::string& command) {
  return StepRun(learner, run, config_text, command).run();
}

}  // namespace longshot::loop
