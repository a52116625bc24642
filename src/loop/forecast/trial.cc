#include "loop/forecast/trial.h"

#include <algorithm>
#include <cmath>

#include "base/os/clock.h"
#include "base/rng.h"
#include "model/format/cost.h"
#include "model/sequence_logprobs.h"
#include "rollout/jobs.h"
#include "train/pass/gemm_peak.h"

namespace longshot::loop {
namespace {

constexpr int kFewTokens = 2, kMoreTokens = 16;  // of the two trial rollouts
constexpr double kTrialTokens = 4096;            // of the trial update
constexpr double kWholeSeconds = 4;              // a rollout or update below this is tried in full
// Attention over a growing context runs at about half the rate of a large product.
constexpr double kAttentionShare = 0.5;
constexpr int kTrials = 5;           // of a decode step,
constexpr double kTrialSeconds = 2;  // but no further one after this time

using Size = IterationSize;

model::Work training_work(const Size& s, bool shared_prompts) {
  const double own = s.response - 1, pairs = s.prompt * own + own * (own + 1) / 2,
               prompt_pairs = s.prompt * (s.prompt + 1) / 2;
  const double prompts = shared_prompts ? s.groups : s.samples();
  return {.tokens = prompts * s.prompt + s.samples() * own,
          .targets = s.samples() * s.response,
          .pairs = prompts * prompt_pairs + s.samples() * pairs};
}

}  // namespace

// Generates `samples` samples of each prompt that end after exactly `length` tokens; returns the
// seconds.
Result<double> Trial::generate(const std::vector<data::Draw>& draws, int samples, int length) {
  // Publishing invalidates the KV cache, so this trial gains nothing from the one before.
  const Stopwatch publishing;
  LS_RETURN_IF_ERROR(parts_.publisher->publish(parts_.trainer->model().weights()).status());
  publish_seconds_ = publishing.seconds();
  rollout::EngineOptions options = parts_.engine_options;
  options.sampling.stop_tokens.clear();
  options.sampling.stop_strings.clear();
  options.sampling.max_response_length = length;
  options.repetition.enabled = false;
  options.token_budget = 0;
  options.segment_tokens = 0;
  options.speculation = rollout::Speculation::off;
  const Stopwatch watch;
  LS_RETURN_IF_ERROR(
      parts_.rollout->generate(rollout::make_jobs(draws, samples), options, nullptr).status());
  metrics_.merge(Metrics(parts_.rollout->metrics()));
  return watch.seconds();
}

// Sets the log-probabilities that a rollout of these weights would have recorded, so that the
// update costs as much as after a rollout.
void Trial::record_logprobs(data::Sample& sample) {
  std::vector<data::TokenId> sequence = sample.prompt_tokens;
  sequence.insert(sequence.end(), sample.tokens.begin(), sample.tokens.end());
  // Of all tokens but the first.
  const auto all = model::sequence_logprobs(parts_.trainer->model().compute(), {sequence},
                                            config_.algorithm.temperature)
                       .front();
  sample.logprobs.assign(all.end() - static_cast<long>(sample.tokens.size()), all.end());
}

// Runs a policy update on random responses; returns the seconds.
Result<double> Trial::update(int groups, int samples, int length) {
  const int64_t version = parts_.publisher->version();
  CounterRng rng(1);
  const int flat = static_cast<int>(std::lround(flat_groups_ * groups));
  std::vector<data::Group> batch;
  for (const data::Draw& draw : parts_.prompts->next(groups, 0)) {
    data::Group& group = batch.emplace_back();
    group.prompt = draw.prompt;
    for (int s = 0; s < samples; ++s) {
      data::Sample& sample = group.samples.emplace_back();
      sample.prompt_id = group.prompt.id;
      sample.prompt_tokens = group.prompt.tokens;
      for (int t = 0; t < length; ++t)
        sample.tokens.push_back(static_cast<data::TokenId>(rng.next_below(model().vocab_size)));
      record_logprobs(sample);
      sample.segments = {{0, length, version}};
      sample.finish = data::FinishReason::length;
      group.verdicts.emplace_back();
      group.verdicts.back().scored = true;
      group.verdicts.back().score = static_cast<int>(batch.size()) <= flat ? 0 : s % 2;
    }
  }
  const Stopwatch watch;
  LS_ASSIGN_OR_RETURN(Metrics metrics, parts_.trainer->fit(batch, {version, 1, 0}));
  const double seconds = watch.seconds();
  for (const auto& [name, value] : metrics) metrics_[name] = value;
  return seconds;
}

Status Trial::run(const Size& rollout, const Size& update) {
  LS_RETURN_IF_ERROR(try_rollout(rollout));
  LS_RETURN_IF_ERROR(try_update(update));
  peak_flops_ = train::measure_gemm_flops(config_.machine.device, NumberFormat::f32);
  return try_whole(rollout, update);
}

Status Trial::try_whole(const Size& rollout, const Size& update) {
  const rollout::EngineOptions& engine = config_.rollout.engine;
  if (engine.token_budget == 0 && engine.segment_tokens == 0 &&
      rollout_seconds(rollout) < kWholeSeconds) {
    LS_ASSIGN_OR_RETURN(whole_rollout_,
                        generate(parts_.prompts->next(static_cast<int>(rollout.groups), 0),
                                 static_cast<int>(rollout.n), static_cast<int>(rollout.response)));
  }
  if (update_seconds(update) < kWholeSeconds) {
    LS_ASSIGN_OR_RETURN(
        whole_update_, this->update(static_cast<int>(std::lround(update.groups)),
                                    static_cast<int>(update.n), static_cast<int>(update.response)));
  }
  return ok_status();
}

Status Trial::try_rollout(const Size& size) {
  const int n = static_cast<int>(size.n), groups = std::max(1, in_flight(size) / n);
  const auto draws = parts_.prompts->next(groups, 0);
  const double samples = static_cast<double>(draws.size()) * size.n;
  double prompt_tokens = 0;
  for (const auto& draw : draws) prompt_tokens += static_cast<double>(draw.prompt.tokens.size());
  LS_RETURN_IF_ERROR(generate(draws, n, kFewTokens).status());  // allocates memory, starts threads
  LS_ASSIGN_OR_RETURN(const double few, generate(draws, n, kFewTokens));
  LS_ASSIGN_OR_RETURN(const double more, generate(draws, n, kFewTokens + kMoreTokens));
  seconds_per_token_ = (more - few) / (kMoreTokens * samples);
  seconds_per_prompt_token_ =
      std::max(0.0, few - kFewTokens * samples * seconds_per_token_) / prompt_tokens;
  return ok_status();
}

Status Trial::try_update(const Size& size) {
  const int steps = config_.algorithm.mini_batches;
  LS_RETURN_IF_ERROR(update(steps, 2, 2).status());
  LS_ASSIGN_OR_RETURN(update_overhead_, update(steps, 2, 2));
  overhead_flops_ = value("perf/train_flops");
  // At least one group per step; fewer samples per group if that would be too many tokens.
  const int trial_groups = std::clamp(static_cast<int>(kTrialTokens / size.group_tokens()), steps,
                                      std::max(steps, static_cast<int>(size.groups)));
  const double share = std::min(1.0, 2 * kTrialTokens / (trial_groups * size.group_tokens()));
  const int trial_samples = std::max(2, static_cast<int>(size.n * share));
  LS_ASSIGN_OR_RETURN(const double seconds,
                      update(trial_groups, trial_samples, static_cast<int>(size.response)));
  update_rate_ =
      (value("perf/train_flops") - overhead_flops_) / std::max(1e-6, seconds - update_overhead_);
  return ok_status();
}

// Other programs only make a trial slower, so the fastest one counts. The prompts are read at the
// largest number of samples, which is tried last.
Result<double> Trial::step_seconds(int running, StepCosts& costs) {
  const int n = std::min(running, config_.rollout.n), groups = std::max(1, running / n);
  const auto draws = parts_.prompts->next(groups, 0);
  double prompt_tokens = 0, few = 1e18, more = 1e18;
  for (const auto& draw : draws) prompt_tokens += static_cast<double>(draw.prompt.tokens.size());
  const Stopwatch watch;
  for (int i = 0; i < kTrials && (i == 0 || watch.seconds() < kTrialSeconds); ++i) {
    LS_ASSIGN_OR_RETURN(const double short_one, generate(draws, n, kFewTokens));
    LS_ASSIGN_OR_RETURN(const double long_one, generate(draws, n, kFewTokens + kMoreTokens));
    few = std::min(few, short_one);
    more = std::min(more, long_one);
  }
  const double step = std::max(1e-9, (more - few) / kMoreTokens);
  costs.prompt_token = std::max(0.0, few - kFewTokens * step) / prompt_tokens;
  return step;
}

Result<StepCosts> Trial::measure_steps(const Size& size) {
  StepCosts costs;
  costs.context = attention_seconds(1);
  const int most = in_flight(size);
  std::vector<int> sizes{most};
  while (sizes.back() > 1) sizes.push_back(std::max(1, sizes.back() / 3));
  for (auto running = sizes.rbegin(); running != sizes.rend(); ++running) {
    LS_ASSIGN_OR_RETURN(double seconds, step_seconds(*running, costs));
    if (!costs.points.empty()) seconds = std::max(seconds, costs.points.back().second);
    costs.points.emplace_back(*running, seconds);
  }
  return costs;
}

double Trial::attention_seconds(double context) const {
  return model::forward_flops(model(), {.pairs = context}) / (kAttentionShare * peak_flops_);
}

double Trial::rollout_seconds(const Size& size) const {
  if (whole_rollout_ > 0) return whole_rollout_;
  double tokens = size.samples() * size.response;
  const rollout::EngineOptions& engine = config_.rollout.engine;
  if (engine.segment_tokens > 0) tokens = std::min(tokens, size.samples() * engine.segment_tokens);
  if (engine.token_budget > 0) tokens = std::min(tokens, static_cast<double>(engine.token_budget));
  const double context = std::max(0.0, size.response / 2 - kFewTokens - kMoreTokens / 2.0);
  return size.groups * size.prompt * seconds_per_prompt_token_ +
         tokens * (seconds_per_token_ + attention_seconds(context));
}

double Trial::update_seconds(const Size& size) const {
  if (whole_update_ > 0) return whole_update_;
  const double steps = config_.algorithm.mini_batches * config_.algorithm.epochs;
  const bool shared = parts_.trainer->model().compute().pass_size(0).share_prompts;
  const double flops = config_.algorithm.epochs * (1 - flat_groups_ / steps) *
                       model::training_flops(model(), training_work(size, shared));
  return update_overhead_ + std::max(0.0, flops - overhead_flops_) / update_rate_;
}

}  // namespace longshot::loop
