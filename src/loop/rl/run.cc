#include "loop/rl/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "base/os/machine.h"
#include "base/os/run_limits.h"
#include "base/os/stop.h"
#include "base/rng.h"
#include "eval/sample_records.h"
#include "loop/rl/iteration_report.h"
#include "model/torch/exceptions.h"
#include "train/optimizer/schedule.h"

namespace longshot::loop {

uint64_t Run::key(Stream stream, int64_t iteration) const {
  const uint64_t base =
      hash_combine(static_cast<uint64_t>(config_.trainer.seed), static_cast<uint64_t>(stream));
  return hash_combine(base, static_cast<uint64_t>(iteration));
}

// The RL iteration. All randomness in it is keyed by (seed, iteration), so that a resumed run
// repeats it.
Status Run::iterate() {
  Parts& p = parts_;
  Metrics metrics;
  Timer timer(metrics);
  const int64_t iteration = state_.iteration;
  log_->begin_step(iteration + 1);

  Rounds rounds(config_);
  add_trained_groups(iteration, rounds);
  if (rounds_ahead_ != nullptr) {
    LS_RETURN_IF_ERROR(fill_from_rounds_ahead(iteration, rounds, timer));
  } else {
    do {
      // prompts/ and rollout/: finished samples are judged while the others continue.
      LS_ASSIGN_OR_RETURN(auto samples, samples_of(iteration, rounds));
      // reward/ and replay/: with algorithm.filter_groups, new prompts replace groups without
      // variance.
      LS_RETURN_IF_ERROR(take_in(std::move(samples), rounds, timer));
      LS_RETURN_IF_ERROR(close_groups(iteration, rounds));
    } while (rounds.wants_another() && room(rounds) > 0);
  }
  p.prompts->end_iteration();
  rounds.report(metrics);
  report_staleness(rounds.groups(), state_.policy_version, metrics);
  log_samples(rounds.groups());

  // train/: with cluster.staleness, the samples of the next iteration are generated meanwhile.
  LS_RETURN_IF_ERROR(begin_ahead(iteration + 1));
  progress_.update(iteration, "training");
  LS_RETURN_IF_ERROR(hand_over_.to_trainer(metrics));
  LS_ASSIGN_OR_RETURN(
      const Metrics trained,
      p.trainer->fit(rounds.groups(), {state_.policy_version, key(Stream::trainer), iteration}));
  timer.lap("timing_s/update_actor");  // in place of the trainer's own, which is a part of it
  metrics.insert(trained.begin(), trained.end());
  LS_ASSIGN_OR_RETURN(auto ahead, end_ahead());
  if (rounds_ahead_ != nullptr)  // workers have two versions of the weights at most
    LS_RETURN_IF_ERROR(rounds_ahead_->end_older_than(state_.policy_version));
  if (ahead || rounds_ahead_ != nullptr) timer.lap("timing_s/gen_ahead");
  add_counts(metrics);
  capture_state(iteration + 1, p.publisher->version() + 1, std::move(metrics), std::move(ahead));

  // publish/: from here on the iteration is saved, even if a later step fails.
  return publish();
}

Status Run::run() {
  log::info("{}", description());
  for (const config::Phase& phase : config_.phase.phases)
    log::info("{} begins {}: {}", phase.name, start_text(phase), settings_text(phase));
  progress_.start(state_.iteration, config_.trainer.total_iterations);
  if (config_.trainer.val_only) return evaluate_only();
  Status done = model::caught([&] { return run_iterations(); });
  if (done.ok()) done = model::caught([&] { return save(); });
  if (done.ok()) parts_.rollout->run_has_ended();
  if (done.ok()) return done;
  progress_.clear();
  return end_early(done);
}

// Evaluates the state at which the run starts, and logs the result.
Status Run::evaluate_start(Metrics& metrics) {
  LS_RETURN_IF_ERROR(test(metrics));
  log_metrics(metrics);
  progress_.clear();
  return ok_status();
}

Status Run::evaluate_only() {
  Metrics metrics;
  const Status done = model::caught([&] { return evaluate_start(metrics); });
  progress_.clear();
  LS_RETURN_IF_ERROR(done);
  parts_.rollout->run_has_ended();
  const std::string log = config_.trainer.output + "/" + kValOnlyFolder;
  log::info("held-out {:.3f} (95 % interval {:.3f} to {:.3f}) after iteration {}, logged in {}",
            metrics["val/accuracy"], metrics["val/accuracy_low"], metrics["val/accuracy_high"],
            state_.iteration, log);
  return ok_status();
}

Status Run::run_iterations() {
  if (state_.iteration == 0 && config_.trainer.val_before_train && config_.trainer.test_freq > 0) {
    Metrics metrics;
    LS_RETURN_IF_ERROR(evaluate_start(metrics));
    if (metrics.contains("val/accuracy"))
      log::info("held-out {:.3f} before training", metrics["val/accuracy"]);
  }
  while (state_.iteration < config_.trainer.total_iterations || !state_.unfinished.empty()) {
    if (state_.unfinished.empty()) LS_RETURN_IF_ERROR(begin_due_phase());
    LS_RETURN_IF_ERROR(state_.unfinished.empty() ? next_iteration() : finish_iteration());
  }
  for (size_t i = state_.phase.begun; i < config_.phase.phases.size(); ++i)
    log::warn("{} did not begin", config_.phase.phases[i].name);
  return ok_status();
}

// state_ and the weights are those of the last finished iteration, unless an update was half done
// and could not be taken back. Then only the newest checkpoint can be continued.
Status Run::end_early(const Status& reason) {
  log_->log_events(state_.iteration, parts_.rollout->take_events());  // a continued run keeps them
  const bool stopped = reason.code() == StatusCode::cancelled;
  const bool whole = parts_.trainer->model().steps() == updates_;
  const bool broken = reason.message().find(run_limits::kBrokenWords) != std::string::npos;
  Status end = reason;
  if (whole && !broken && (stopped || state_.iteration > 0)) {
    const Status saved = model::caught([&] { return save(); });
    if (!saved.ok() && reason.message().find(saved.message()) == std::string::npos)
      end =
          Status(stopped ? saved.code() : reason.code(), reason.message() + "; " + saved.message());
  }
  if (broken) return Status(end.code(), end.message() + "; " + advice_for_broken_weights());
  const std::string half =
      whole ? "" : fmt::format("the update of iteration {} was half done; ", state_.iteration + 1);
  const char* command = config_.trainer.never_resumes()
                            ? "the command with trainer.resume_mode=auto"
                            : "the same command";
  const std::string kept =
      saved_iteration_ < 0
          ? "no iteration is saved"
          : fmt::format("{} finished iterations are saved in {}; {} continues from there",
                        saved_iteration_, config_.trainer.output, command);
  return Status(end.code(), end.message() + "; " + half + kept);
}

// The newest checkpoint may have these weights, too.
std::string Run::advice_for_broken_weights() const {
  std::string older;
  for (const int64_t iteration : checkpoints_.iterations())
    if (iteration < state_.iteration)
      older = fmt::format("{}/global_step_{}", config_.trainer.output, iteration);
  return fmt::format("they are not saved again; {} with a lower optim.lr",
                     older.empty() ? "start anew" : "continue with trainer.resume_mode=" + older);
}

std::string Run::description() const {
  if (config_.trainer.val_only)
    return fmt::format("only an evaluation of {} held-out prompts after iteration {}, in {}",
                       parts_.val_prompts.size(), state_.iteration, config_.trainer.output);
  const model::Weights& weights = parts_.trainer->model().weights();
  return fmt::format(
      "{} on {} prompts ({} held out): {} of {} parameters of {} are trained; {} x {} samples of "
      "up to {} tokens an iteration, iterations {} to {}, in {}",
      name_of(config_.algorithm.name), parts_.prompts->size(), parts_.val_prompts.size(),
      with_commas(weights.trained_parameters()),
      with_commas(model::parameter_count(weights.config())), config_.model.path,
      config_.data.train_batch_size, config_.rollout.n,
      config_.rollout.engine.sampling.max_response_length, state_.iteration + 1,
      config_.trainer.total_iterations, config_.trainer.output);
}

void Run::add_counts(Metrics& metrics) {
  state_.total_tokens += static_cast<int64_t>(metrics["rollout/generated_tokens"]);
  metrics["perf/total_num_tokens"] = static_cast<double>(state_.total_tokens);
  metrics.merge(parts_.replay->take_metrics());
  metrics.merge(parts_.prompts->take_metrics());
  metrics.merge(parts_.rewards->take_metrics());
  if (!config_.phase.phases.empty())
    metrics["training/phase"] = static_cast<double>(state_.phase.begun);
}

Status Run::next_iteration() {
  const Stopwatch watch;
  LS_RETURN_IF_ERROR(iterate());
  Metrics& metrics = state_.unfinished;
  metrics["timing_s/step"] = watch.seconds();
  metrics["perf/throughput"] =
      metrics["rollout/generated_tokens"] / std::max(1e-9, watch.seconds());
  metrics["perf/max_memory_gb"] = peak_memory_gib();
  metrics["perf/trainer_idle"] =
      1 - metrics["timing_s/update_actor"] / std::max(1e-9, watch.seconds());
  return ok_status();
}

// Also called when a run starts or resumes. An iteration whose evaluation or log was interrupted
// gets the metrics of this publish if it has none yet.
Status Run::publish() {
  Metrics all;
  LS_RETURN_IF_ERROR(hand_over_.to_rollout(
      [&]() -> Status {
        LS_ASSIGN_OR_RETURN(const Metrics published,
                            parts_.publisher->publish(parts_.trainer->model().weights()));
        all.insert(published.begin(), published.end());
        return ok_status();
      },
      all));
  if (!state_.unfinished.empty()) state_.unfinished.insert(all.begin(), all.end());
  return ok_status();
}

Status Run::begin_due_phase() {
  if (!is_due(config_, state_.phase, state_.iteration)) return ok_status();
  PhaseState phase = state_.phase;
  const config::Phase& begins = config_.phase.phases[static_cast<size_t>(phase.begun++)];
  phase.fulfilled = 0;
  phase.tables.push_back(begins.settings);
  if (restarts_schedule(begins)) {
    phase.schedule_iteration = state_.iteration;
    phase.schedule_step = parts_.trainer->model().steps();
  }
  // Its rewards judge what no iteration has taken in, and nothing is judged while they change.
  if (rounds_ahead_ != nullptr) LS_RETURN_IF_ERROR(rounds_ahead_->end_all());
  LS_ASSIGN_OR_RETURN(config::TrainConfig next,
                      config::config_in_phase(base_, static_cast<size_t>(phase.begun)));
  LS_RETURN_IF_ERROR(begin_phase(next, phase, parts_).with_context(begins.name));
  log::info("{} begins after iteration {}: {}", begins.name, state_.iteration,
            config::settings_text(begins));
  config_ = std::move(next);
  state_.phase = phase;
  if (restarts_schedule(begins)) warn_of_long_warmup();
  state_.prompts = parts_.prompts->snapshot();
  return ok_status();
}

Status Run::finish_iteration() {
  Metrics metrics = state_.unfinished;
  if (due(config_.trainer.test_freq)) LS_RETURN_IF_ERROR(test(metrics));
  log_metrics(metrics);
  state_.unfinished.clear();
  watch(config_, metrics, state_.phase);
  warn_of_missing_metric(metrics);
  const bool candidate = is_candidate(metrics);
  progress_.finish(state_.iteration, headline(metrics));
  const bool cut = cuts_distribution(config_.rollout.engine.sampling);
  for (const std::string& text :
       warnings_.check(state_.iteration, metrics, reward_watch_.reason(), cut))
    log::warn("{}", text);
  const bool last = state_.iteration >= config_.trainer.total_iterations;  // run() saves it
  if (last || (!candidate && !due(config_.trainer.save_freq) && !save_retry_.due()))
    return ok_status();
  return save_retry_.after(save());
}

void Run::warn_of_long_warmup() const {
  const std::string problem =
      train::warmup_problem(config_.optimizer, schedule_steps(config_, state_.phase));
  if (!problem.empty()) log::warn("{}", problem);
}

// A metric that no iteration reports would never begin its phase. All metrics of a run have been
// reported after an evaluation and an optimizer step.
void Run::warn_of_missing_metric(const Metrics& metrics) {
  reported_.insert(metrics.begin(), metrics.end());
  const bool evaluated = config_.trainer.test_freq <= 0 || due(config_.trainer.test_freq);
  if (missing_metric_told_ || !evaluated || !reported_.contains("actor/grad_norm")) return;
  const std::string text = missing_metric(config_, state_.phase, reported_);
  missing_metric_told_ = !text.empty();
  if (missing_metric_told_) log::warn("{}", text);
}

// True if the evaluation of the finished iteration makes it, now or later, the best one.
bool Run::is_candidate(const Metrics& metrics) {
  if (!config_.trainer.keep_best || !metrics.contains("val/accuracy")) return false;
  return add_evaluation(
      {state_.iteration, metrics.at("val/accuracy"), metrics.at("val/response_length")},
      config_.trainer.best_margin, state_.candidates);
}

// A failure is only a warning: the checkpoint itself is there.
void Run::mark_best() {
  const auto best = this->best();
  const Status linked = best ? link_best(config_.trainer.output, best->iteration)
                             : remove_broken_best(config_.trainer.output);
  if (!linked.ok()) log::warn("{}", linked.message());
}

std::optional<Evaluated> Run::best() const {
  std::vector<Evaluated> saved;
  const std::vector<int64_t> there = checkpoints_.iterations();
  for (const Evaluated& one : state_.candidates)
    if (std::ranges::count(there, one.iteration) > 0) saved.push_back(one);
  return best_of(saved, config_.trainer.best_margin);
}

bool Run::due(int64_t every) const {
  return every > 0 && state_.iteration % every == 0;
}

Status Run::test(Metrics& metrics) {
  if (parts_.val_prompts.empty()) return ok_status();
  if (rounds_ahead_ != nullptr) LS_RETURN_IF_ERROR(rounds_ahead_->end_all());
  eval::EvalOptions options;
  options.n = config_.trainer.val_n;
  options.seed = key(Stream::validation);
  options.engine = parts_.engine_options;
  options.engine.sampling.temperature = config_.trainer.val_temperature;
  LS_ASSIGN_OR_RETURN(const eval::Evaluation evaluation,
                      eval::evaluate(*parts_.rollout, parts_.val_prompts, *parts_.rewards, options,
                                     [&](const rollout::Progress& progress) {
                                       progress_.update(
                                           state_.iteration,
                                           "evaluation " + eval::progress_text(progress));
                                     }));
  metrics.merge(eval::to_metrics(evaluation.result));
  if (config_.trainer.log_samples != 0) {
    auto records =
        eval::sample_records(evaluation.groups, config_.trainer.log_samples, *parts_.tokenizer);
    for (SampleRecord& record : records) record.held_out = true;
    log_->write_samples(state_.iteration, records);
  }
  parts_.rewards->take_metrics();  // those of the evaluation are in val/errors
  return check_judged(evaluation.result);
}

// Without a verdict there is no accuracy.
Status Run::check_judged(const eval::EvalResult& result) const {
  if (result.errors < result.samples) return ok_status();
  const std::string text = "no held-out response could be judged: " + result.frequent_error;
  if (config_.trainer.val_only) return invalid_argument(text);
  log::warn("{}", text);
  return ok_status();
}

void Run::capture_state(int64_t iteration, int64_t policy_version, Metrics unfinished,
                        std::optional<AheadSamples> ahead) {
  RunState state{.iteration = iteration,
                 .policy_version = policy_version,
                 .total_tokens = state_.total_tokens,
                 .phase = state_.phase,
                 .candidates = state_.candidates,
                 .prompts = parts_.prompts->snapshot(),
                 .ahead = std::move(ahead),
                 .rounds_ahead = {},
                 .unfinished = std::move(unfinished)};
  if (rounds_ahead_ != nullptr) state.rounds_ahead = rounds_ahead_->snapshot();
  parts_.replay->mark();
  state_ = std::move(state);
  updates_ = parts_.trainer->model().steps();
}

Status Run::save() {
  if (saved_iteration_ == state_.iteration) return ok_status();
  if (state_.rounds_ahead) LS_RETURN_IF_ERROR(rounds_ahead_->complete(*state_.rounds_ahead));
  Json state = to_json(state_, *parts_.prompts);
  state["config"] = config_text_;
  state["inputs"] = inputs_;
  const Parts& p = parts_;
  std::set<int64_t> candidates;
  for (const Evaluated& one : state_.candidates) candidates.insert(one.iteration);
  checkpoints_.exempt(std::move(candidates));
  const auto write = [&](const std::string& directory) -> Status {
    LS_RETURN_IF_ERROR(write_policy(directory, p.trainer->model().weights(), state_.policy_version,
                                    config_.model, p.tokenizer.get(), &p.chat_template)
                           .status());
    LS_RETURN_IF_ERROR(p.replay->save(directory + "/" + kReplayFile));
    return p.trainer->save_state(directory);
  };
  LS_RETURN_IF_ERROR(hand_over_.with_state(
      p.publisher->version(), [&] { return checkpoints_.save(state_.iteration, state, write); }));
  saved_iteration_ = state_.iteration;
  mark_best();
  return ok_status();
}

void Run::log_metrics(const Metrics& metrics) {
  log_->log_events(state_.iteration, parts_.rollout->take_events());
  log_->log(state_.iteration, metrics);
}

void Run::log_samples(const std::vector<data::Group>& groups) {
  if (config_.trainer.log_samples == 0) return;
  log_->write_samples(state_.iteration + 1,
                      eval::sample_records(groups, config_.trainer.log_samples, *parts_.tokenizer));
}

}  // namespace longshot::loop
