#include "loop/forecast/cost_forecast.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/os/clock.h"
#include "base/os/machine.h"
#include "base/rng.h"
#include "loop/rl/parts.h"
#include "model/format/cost.h"
#include "model/format/model_files.h"
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

using Size = IterationSize;

model::Work training_work(const Size& s, bool shared_prompts) {
  const double own = s.response - 1, pairs = s.prompt * own + own * (own + 1) / 2,
               prompt_pairs = s.prompt * (s.prompt + 1) / 2;
  const double prompts = shared_prompts ? s.groups : s.samples();
  return {.tokens = prompts * s.prompt + s.samples() * own,
          .targets = s.samples() * s.response,
          .pairs = prompts * prompt_pairs + s.samples() * pairs};
}

class Trial {
 public:
  Trial(const config::TrainConfig& config, const ForecastOptions& options, Parts& parts)
      : config_(config), options_(options), parts_(parts) {}

  Status run(const Size& size);

  // Predictions for one iteration.
  double rollout_seconds(const Size& size) const;
  double update_seconds(const Size& size) const;
  double publish_seconds() const { return publish_seconds_; }
  double value(const std::string& metric) const { return metrics_.at(metric); }
  int in_flight(const Size& size) const {
    return std::min(config_.rollout.max_concurrent, static_cast<int>(size.samples()));
  }
  bool shared_prompts() const {
    return parts_.trainer->model().compute().pass_size(0).share_prompts;
  }

 private:
  Status try_small(const Size& size);
  Status try_whole(const Size& size);
  Result<double> generate(const std::vector<data::Draw>& draws, int length);
  Result<double> update(int groups, int samples, int length);
  void record_logprobs(data::Sample& sample);
  const model::ModelConfig& model() const { return parts_.trainer->model().weights().config(); }

  const config::TrainConfig& config_;
  const ForecastOptions options_;
  Parts& parts_;
  Metrics metrics_;
  double publish_seconds_ = 0;
  double peak_flops_ = 0;  // f32, the number format of the rollout's attention
  double seconds_per_token_ = 0, seconds_per_prompt_token_ = 0;
  double update_overhead_ = 0, overhead_flops_ = 0, update_rate_ = 1;
  double whole_rollout_ = 0, whole_update_ = 0;  // 0: too long to be tried
};

// Generates samples that all end after exactly `length` tokens; returns the seconds.
Result<double> Trial::generate(const std::vector<data::Draw>& draws, int length) {
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
      parts_.rollout->generate(rollout::make_jobs(draws, config_.rollout.n), options, nullptr)
          .status());
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
  const int flat = static_cast<int>(std::lround(options_.flat_groups * groups));
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

Status Trial::run(const Size& size) {
  LS_RETURN_IF_ERROR(try_small(size));
  return try_whole(size);
}

Status Trial::try_whole(const Size& size) {
  const int groups = static_cast<int>(size.groups), length = static_cast<int>(size.response);
  const rollout::EngineOptions& engine = config_.rollout.engine;
  if (engine.token_budget == 0 && engine.segment_tokens == 0 &&
      rollout_seconds(size) < kWholeSeconds) {
    LS_ASSIGN_OR_RETURN(whole_rollout_, generate(parts_.prompts->next(groups, 0), length));
  }
  if (update_seconds(size) < kWholeSeconds) {
    LS_ASSIGN_OR_RETURN(whole_update_, update(groups, static_cast<int>(size.n), length));
  }
  return ok_status();
}

Status Trial::try_small(const Size& size) {
  const int groups = std::max(1, static_cast<int>(in_flight(size) / size.n));
  const auto draws = parts_.prompts->next(groups, 0);
  const double samples = static_cast<double>(draws.size()) * size.n;
  double prompt_tokens = 0;
  for (const auto& draw : draws) prompt_tokens += static_cast<double>(draw.prompt.tokens.size());
  LS_RETURN_IF_ERROR(generate(draws, kFewTokens).status());  // allocates memory, starts threads
  LS_ASSIGN_OR_RETURN(const double few, generate(draws, kFewTokens));
  LS_ASSIGN_OR_RETURN(const double more, generate(draws, kFewTokens + kMoreTokens));
  seconds_per_token_ = (more - few) / (kMoreTokens * samples);
  seconds_per_prompt_token_ =
      std::max(0.0, few - kFewTokens * samples * seconds_per_token_) / prompt_tokens;

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
  peak_flops_ = train::measure_gemm_flops(config_.machine.device, NumberFormat::f32);
  return ok_status();
}

double Trial::rollout_seconds(const Size& size) const {
  if (whole_rollout_ > 0) return whole_rollout_;
  double tokens = size.samples() * size.response;
  const rollout::EngineOptions& engine = config_.rollout.engine;
  if (engine.segment_tokens > 0) tokens = std::min(tokens, size.samples() * engine.segment_tokens);
  if (engine.token_budget > 0) tokens = std::min(tokens, static_cast<double>(engine.token_budget));
  const double context = std::max(0.0, size.response / 2 - kFewTokens - kMoreTokens / 2.0);
  const double attention = model::forward_flops(model(), {.pairs = context});
  return size.groups * size.prompt * seconds_per_prompt_token_ +
         tokens * (seconds_per_token_ + attention / (kAttentionShare * peak_flops_));
}

double Trial::update_seconds(const Size& size) const {
  if (whole_update_ > 0) return whole_update_;
  const double steps = config_.algorithm.mini_batches * config_.algorithm.epochs;
  const double flops = config_.algorithm.epochs * (1 - options_.flat_groups / steps) *
                       model::training_flops(model(), training_work(size, shared_prompts()));
  return update_overhead_ + std::max(0.0, flops - overhead_flops_) / update_rate_;
}

// Rollout, update and publishing of an iteration.
std::vector<ForecastItem> forecast_seconds(const config::TrainConfig& config, const Trial& trial,
                                           const Size& size) {
  return {
      {"rollout", trial.rollout_seconds(size),
       fmt::format("{:.0f} samples of {:.0f} tokens", size.samples(), size.response)},
      {"update", trial.update_seconds(size),
       fmt::format("{} optimizer steps", config.algorithm.mini_batches * config.algorithm.epochs)},
      {"publish", trial.publish_seconds(), "weights to the rollout"}};
}

}  // namespace

Result<CostForecast> forecast_cost(const config::TrainConfig& config,
                                   const ForecastOptions& options) {
  CostForecast forecast;
  forecast.model = config.model.path;
  LS_ASSIGN_OR_RETURN(const model::ModelConfig model,
                      model::read_model_config(config.model.source()));
  Size size = largest_size(config);
  if (options.response_length > 0) size.response = options.response_length;
  forecast.response_length = static_cast<int>(size.response);
  LS_ASSIGN_OR_RETURN(forecast.memory, forecast_memory(config, model, size));
  forecast.disk = forecast_disk(config, model, forecast.memory);
  forecast.limit = hard_memory_limit();
  forecast.memory_at_hand = memory_at_hand();
  // The trial would run out of memory.
  if (config.machine.is_cpu() && !forecast.fits()) return forecast;
  LS_ASSIGN_OR_RETURN(Parts parts,
                      make_parts(config::in_one_process(config), {}, "", "", train::alone()));
  Summary prompt;
  for (const auto& draw : parts.prompts->next(config.data.train_batch_size, 0))
    prompt.add(static_cast<double>(draw.prompt.tokens.size()));
  size.groups = static_cast<double>(prompt.count());
  size.prompt = prompt.mean();
  const double program = forecast.memory.items.front().value;
  LS_ASSIGN_OR_RETURN(forecast.memory, forecast_memory(config, model, size));
  forecast.memory.items.front().value = program;  // measured now, it would include the model
  Trial trial(config, options, parts);
  LS_RETURN_IF_ERROR(trial.run(size));
  forecast.seconds = forecast_seconds(config, trial, size);
  return forecast;
}

}  // namespace longshot::loop
