#include "loop/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/fs.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/stop.h"
#include "eval/evaluate.h"
#include "loop/iteration_metrics.h"
#include "rollout/jobs.h"

namespace longshot::loop {
namespace {

// Keys of the run's independent random streams.
enum class Stream : uint64_t { prompts = 1, replay = 2, trainer = 3, validation = 4 };

uint64_t key(const TrainConfig& config, Stream stream, int64_t iteration = 0) {
  const uint64_t base =
      hash_combine(static_cast<uint64_t>(config.seed), static_cast<uint64_t>(stream));
  return hash_combine(base, static_cast<uint64_t>(iteration));
}

Json to_json(const RunState& s, const prompts::PromptSampler& sampler) {
  return {{"iteration", s.iteration},
          {"policy_version", s.policy_version},
          {"total_tokens", s.total_tokens},
          {"prompts", sampler.state(s.prompts)},
          {"replay", {{"file", s.replay.file}, {"offset", s.replay.offset}}},
          {"unfinished", metrics_to_json(s.unfinished)}};
}

Result<RunState> state_from_json(const Json& json, const std::string& where) {
  RunState s;
  LS_ASSIGN_OR_RETURN(s.iteration, json_get<int64_t>(json, "iteration", where));
  LS_ASSIGN_OR_RETURN(s.policy_version, json_get<int64_t>(json, "policy_version", where));
  LS_ASSIGN_OR_RETURN(s.total_tokens, json_get<int64_t>(json, "total_tokens", where));
  LS_ASSIGN_OR_RETURN(const Json replay, json_get<Json>(json, "replay", where));
  LS_ASSIGN_OR_RETURN(s.replay.file, json_get<std::string>(replay, "file", where));
  LS_ASSIGN_OR_RETURN(s.replay.offset, json_get<int64_t>(replay, "offset", where));
  LS_ASSIGN_OR_RETURN(const Json unfinished, json_get<Json>(json, "unfinished", where));
  LS_ASSIGN_OR_RETURN(s.unfinished, metrics_from_json(unfinished, where));
  return s;
}

}  // namespace

// The RL iteration. Everything random in it is keyed by (seed, iteration), so that a resumed run
// repeats it.
Status Run::iterate(Metrics& metrics) {
  Parts& p = parts_;
  Timer timer(metrics);
  const int64_t iteration = state_.iteration;

  // prompts/: partial rollouts of earlier iterations come first; new prompts fill up the buffer.
  LS_ASSIGN_OR_RETURN(std::vector<data::Sample> jobs, p.replay->take_partials());
  const auto held = static_cast<int>(p.replay->groups());
  const auto draws = p.prompts->next(std::max(0, replay_capacity(config_) - held), iteration);
  LS_RETURN_IF_ERROR(p.replay->open_groups(draws, config_.n));
  for (data::Sample& job : rollout::make_jobs(draws, config_.n)) jobs.push_back(std::move(job));

  // rollout/: what has ended is judged while the rest goes on.
  p.rewards->drop_ahead();
  rollout::EngineOptions options = p.engine_options;
  options.on_finished = [&](const data::Sample& sample) {
    judge_ahead(*p.rewards, *p.replay, sample);
  };
  LS_ASSIGN_OR_RETURN(
      auto samples,
      p.rollout->generate(std::move(jobs), options, [&](const rollout::Progress& progress) {
        progress_.update(iteration, describe(progress));
      }));
  if (stop_requested()) return cancelled("stopped");
  metrics.merge(Metrics(p.rollout->metrics()));
  timer.lap("timing_s/gen");

  // reward/
  auto verdicts = judge(*p.rewards, *p.replay, samples);
  if (stop_requested()) return cancelled("stopped");
  timer.lap("timing_s/reward");
  LS_RETURN_IF_ERROR(reward_watch_.check(samples, verdicts));

  // replay/
  report_samples(samples, verdicts, metrics);
  LS_RETURN_IF_ERROR(p.replay->insert(std::move(samples), std::move(verdicts)));
  LS_ASSIGN_OR_RETURN(
      auto groups, p.replay->take(static_cast<size_t>(config_.train_batch_size),
                                  state_.policy_version, key(config_, Stream::replay, iteration)));
  p.rewards->shape(groups, iteration);
  for (const data::Group& group : groups) record_success(*p.prompts, group);
  report_groups(groups, metrics);
  LS_RETURN_IF_ERROR(log_samples(groups));

  // policy/
  progress_.update(iteration, "training");
  LS_ASSIGN_OR_RETURN(const Metrics trained,
                      p.trainer->fit(groups, {state_.policy_version,
                                             key(config_, Stream::trainer), iteration}));
  metrics.insert(trained.begin(), trained.end());
  timer.lap("timing_s/update_actor");

  // publish/
  LS_ASSIGN_OR_RETURN(const Metrics published, p.publisher->publish(p.trainer->weights()));
  metrics.insert(published.begin(), published.end());
  timer.lap("timing_s/update_weights");
  return ok_status();
}

Status Run::run() {
  log::info("{}", description());
  progress_.start(state_.iteration, config_.total_iterations);
  if (state_.iteration == 0 && config_.val_before_train && config_.test_freq > 0) {
    Metrics metrics;
    LS_RETURN_IF_ERROR(test(metrics));
    LS_RETURN_IF_ERROR(log_->log(0, metrics));
    progress_.clear();
    if (metrics.contains("val/accuracy"))
      log::info("held-out {:.3f} before training", metrics["val/accuracy"]);
  }
  const auto done = [&] {
    return state_.iteration >= config_.total_iterations && state_.unfinished.empty();
  };
  while (!done()) {
    const Status status = state_.unfinished.empty() ? next_iteration() : finish_iteration();
    if (status.code() == StatusCode::cancelled) {
      progress_.clear();
      // What was interrupted left the weights alone; the captured state is that of its beginning.
      LS_RETURN_IF_ERROR(save());
      const std::string saved = state_.iteration == 0
                                    ? "stopped before the first iteration was done"
                                    : fmt::format("stopped; the {} finished iterations are saved",
                                                  state_.iteration);
      return cancelled(saved + " in " + config_.output + "; the same command continues from there");
    }
    LS_RETURN_IF_ERROR(status);
  }
  return saved_iteration_ == state_.iteration ? ok_status() : save();
}

std::string Run::description() const {
  const model::Weights& weights = parts_.trainer->weights();
  return fmt::format(
      "{} on {} prompts ({} held out): {} of {} parameters of {} are trained; {} x {} samples of "
      "up to {} tokens an iteration, iterations {} to {}, in {}",
      config_.algorithm.name, parts_.prompts->size(), parts_.val_prompts.size(),
      with_commas(weights.trained_parameters()),
      with_commas(model::parameter_count(weights.config())), config_.model.path,
      config_.train_batch_size, config_.n, config_.engine.sampling.max_response_length,
      state_.iteration + 1, config_.total_iterations, config_.output);
}

Status Run::next_iteration() {
  Stopwatch watch;
  Metrics metrics;
  LS_RETURN_IF_ERROR(iterate(metrics));
  ++state_.iteration;
  state_.total_tokens += static_cast<int64_t>(metrics["rollout/generated_tokens"]);
  metrics["perf/total_num_tokens"] = static_cast<double>(state_.total_tokens);
  metrics.merge(parts_.replay->take_metrics());
  metrics.merge(parts_.rewards->take_metrics());
  metrics["timing_s/step"] = watch.seconds();
  metrics["perf/throughput"] =
      metrics["rollout/generated_tokens"] / std::max(1e-9, watch.seconds());
  metrics["perf/max_memory_gb"] = peak_memory_gb();
  LS_RETURN_IF_ERROR(capture_state());
  state_.unfinished = std::move(metrics);
  return ok_status();
}

Status Run::finish_iteration() {
  Metrics metrics = state_.unfinished;
  if (due(config_.test_freq)) LS_RETURN_IF_ERROR(test(metrics));
  state_.unfinished.clear();
  progress_.finish(state_.iteration, headline(metrics));
  for (const std::string& text : warnings_.check(state_.iteration, metrics, reward_watch_.reason())) log::warn("{}", text);
  LS_RETURN_IF_ERROR(log_->log(state_.iteration, metrics));
  if (!due(config_.save_freq)) return ok_status();
  // A full disk must not end a run that still has older checkpoints and its weights in memory.
  const Status saved = save();
  if (!saved.ok())
    log::error("{}; the run goes on, the checkpoint before stays the newest", saved.message());
  return ok_status();
}

bool Run::due(int64_t every) const {
  return every > 0 && state_.iteration % every == 0;
}

Status Run::test(Metrics& metrics) {
  if (parts_.val_prompts.empty()) return ok_status();
  eval::EvalOptions options;
  options.n = config_.val_n;
  options.seed = key(config_, Stream::validation);
  options.engine = parts_.engine_options;
  options.engine.sampling.temperature = config_.val_temperature;
  LS_ASSIGN_OR_RETURN(const eval::Evaluation evaluation,
                      eval::evaluate(*parts_.rollout, parts_.val_prompts, *parts_.rewards, options,
                                     [&](const rollout::Progress& progress) {
                                       progress_.update(state_.iteration,
                                                        "evaluation " + describe(progress));
                                     }));
  metrics.merge(eval::to_metrics(evaluation.result));
  if (config_.log_samples != 0) {
    auto records = sample_records(evaluation.groups, config_.log_samples);
    for (SampleRecord& record : records) record.held_out = true;
    LS_RETURN_IF_ERROR(log_->write_samples(state_.iteration, records));
  }
  parts_.rewards->take_metrics();  // those of the evaluation are in val/errors
  return ok_status();
}

Status Run::capture_state() {
  state_.policy_version = parts_.publisher->version();
  state_.prompts = parts_.prompts->snapshot();
  LS_ASSIGN_OR_RETURN(state_.replay, parts_.replay->checkpoint());
  return ok_status();
}

Status Run::save() {
  if (saved_iteration_ == state_.iteration) return ok_status();
  Json state = to_json(state_, *parts_.prompts);
  state["config"] = config_text_;
  const Parts& p = parts_;
  LS_RETURN_IF_ERROR(checkpoints_.save(state_.iteration, state, [&](const std::string& directory) {
    LS_RETURN_IF_ERROR(write_policy(directory, p.trainer->weights(), state_.policy_version,
                                    config_.model, p.tokenizer.get(), &p.chat_template)
                           .status());
    return p.trainer->save_state(directory);
  }));
  saved_iteration_ = state_.iteration;
  std::vector<std::string> journals = {state_.replay.file};
  for (int64_t iteration : checkpoints_.iterations()) {
    const auto kept = read_json_file(checkpoints_.directory_of(iteration) + "/state.json");
    if (!kept.ok()) continue;
    const auto kept_state = state_from_json(*kept, "state.json");
    if (kept_state.ok()) journals.push_back(kept_state->replay.file);
  }
  return parts_.replay->remove_journals_except(journals);
}

Status Run::log_samples(const std::vector<data::Group>& groups) {
  if (config_.log_samples == 0) return ok_status();
  return log_->write_samples(state_.iteration + 1, sample_records(groups, config_.log_samples));
}

Run::Run(TrainConfig config, std::string config_text)
    : config_(std::move(config)),
      config_text_(std::move(config_text)),
      checkpoints_(config_.output, config_.keep_checkpoints),
      warnings_(cuts_distribution(config_.engine.sampling)) {}

Result<std::unique_ptr<Run>> Run::create(const TrainConfig& config,
                                         const std::string& config_text) {
  LS_RETURN_IF_ERROR(validate(config));
  std::unique_ptr<Run> run(new Run(config, config_text));
  LS_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::take(config.output));
  run->lock_.emplace(std::move(lock));
  LS_RETURN_IF_ERROR(run->resume_or_start());
  LS_RETURN_IF_ERROR(write_file_atomic(config.output + "/config.toml", config_text));
  return run;
}

Status Run::build(const std::string& checkpoint) {
  LS_ASSIGN_OR_RETURN(parts_, make_parts(config_, checkpoint));
  return ok_status();
}

Status Run::open_log(int64_t last_step) {
  LS_ASSIGN_OR_RETURN(RunLog log, RunLog::open(config_.output, last_step,
                                               {.last_step_is_open = !state_.unfinished.empty()}));
  log_ = std::make_unique<RunLog>(std::move(log));
  return ok_status();
}

Status Run::resume_or_start() {
  if (config_.resume_mode != "auto" && config_.resume_mode != "disable") {
    LS_ASSIGN_OR_RETURN(const bool resumed, resume_from(config_.resume_mode));
    LS_CHECK(resumed, "resume_from either resumes or says why not");
    return ok_status();
  }
  const auto iterations = checkpoints_.iterations();
  if (config_.resume_mode == "disable" && !iterations.empty()) {
    return invalid_argument(
        config_.output +
        " holds a run already: choose another "
        "trainer.default_local_dir, or trainer.resume_mode=auto to go on with it");
  }
  for (int64_t iteration : iterations) {
    const auto resumed = resume_from(checkpoints_.directory_of(iteration));
    if (resumed.ok()) return ok_status();
    if (resumed.status().code() == StatusCode::invalid_argument) return resumed.status();
    log::warn("cannot resume from global_step_{}: {}; trying the one before", iteration,
              resumed.status().message());
  }
  if (!iterations.empty()) log::warn("no checkpoint is usable: the run starts from the beginning");
  LS_RETURN_IF_ERROR(build(""));
  LS_RETURN_IF_ERROR(parts_.replay->start());
  LS_ASSIGN_OR_RETURN(const Metrics published,
                      parts_.publisher->publish(parts_.trainer->weights()));
  LS_RETURN_IF_ERROR(capture_state());
  return open_log(-1);
}

Result<bool> Run::resume_from(const std::string& directory) {
  LS_ASSIGN_OR_RETURN(const Checkpoint checkpoint, checkpoints_.open(directory));
  LS_ASSIGN_OR_RETURN(state_, state_from_json(checkpoint.state, directory + "/state.json"));
  LS_RETURN_IF_ERROR(build(directory));
  LS_RETURN_IF_ERROR(parts_.trainer->load_state(directory));
  LS_ASSIGN_OR_RETURN(const Json prompts,
                      json_get<Json>(checkpoint.state, "prompts", directory + "/state.json"));
  LS_RETURN_IF_ERROR(parts_.prompts->restore(prompts));
  state_.prompts = parts_.prompts->snapshot();
  LS_RETURN_IF_ERROR(parts_.replay->restore(state_.replay));
  parts_.publisher->set_version(state_.policy_version - 1);
  LS_ASSIGN_OR_RETURN(const Metrics published,
                      parts_.publisher->publish(parts_.trainer->weights()));
  LS_RETURN_IF_ERROR(open_log(state_.iteration));
  saved_iteration_ = state_.iteration;
  log::info("resuming {} after iteration {}", config_.output, state_.iteration);
  const auto old_config = json_get<std::string>(checkpoint.state, "config", directory);
  if (old_config.ok()) report_config_changes(*old_config, config_text_);
  return true;
}

}  // namespace longshot::loop
