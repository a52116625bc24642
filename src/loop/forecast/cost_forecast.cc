#include "loop/forecast/cost_forecast.h"

#include <fmt/format.h>

#include <cmath>

#include "base/bytes.h"
#include "base/metrics.h"
#include "loop/forecast/trial.h"
#include "loop/rl/parts.h"
#include "loop/simulation/expected_rounds.h"
#include "model/format/model_files.h"

namespace longshot::loop {
namespace {

using Size = IterationSize;

// Rollout, update and publishing of an iteration.
std::vector<ForecastItem> forecast_seconds(const config::TrainConfig& config, const Trial& trial,
                                           const Size& rollout, const Size& update) {
  return {
      {"rollout", trial.rollout_seconds(rollout),
       fmt::format("{:.0f} samples of {:.0f} tokens", rollout.samples(), rollout.response)},
      {"update", trial.update_seconds(update),
       fmt::format("{} optimizer steps", config.algorithm.mini_batches * config.algorithm.epochs)},
      {"publish", trial.publish_seconds(), "weights to the rollout"}};
}

// Costs with which a simulated round takes `seconds`, if a round of the size was measured.
StepCosts calibrated(const StepCosts& costs, const SimulatedJobs& jobs, int slots, double seconds) {
  const double factor = seconds / simulate_round(costs, jobs, {{.slots = slots}}, {}).seconds;
  return scaled(costs, factor);
}

SimulatedJobs jobs_of(const Size& size, double groups) {
  const int samples = std::max(1, static_cast<int>(std::lround(groups))) * static_cast<int>(size.n);
  return {std::vector<int>(static_cast<size_t>(samples), static_cast<int>(size.response)),
          static_cast<int>(size.n), size.prompt};
}

// What comes after the first round; the rounds of an iteration share rollout.token_budget.
ForecastItem further_rounds(const config::TrainConfig& config, const StepCosts& costs, Size size,
                            double flat_groups) {
  if (const int cap = config.rollout.engine.segment_tokens; cap > 0)
    size.response = std::min<double>(size.response, cap);
  const auto rounds =
      expected_rounds(size.groups, flat_groups, config.filter_groups.max_num_gen_batches);
  double count = 1, groups = 0, seconds = 0;
  for (size_t r = 1; r < rounds.size(); ++r) {
    const ExpectedRound& round = rounds[r];
    count += round.probability;
    groups += round.probability * round.groups;
    seconds += round.probability * simulate_round(costs, jobs_of(size, round.groups),
                                                  {{.slots = config.rollout.max_concurrent}}, {})
                                       .seconds;
  }
  if (const int64_t budget = config.rollout.engine.token_budget; budget > 0) {
    const double left = static_cast<double>(budget) - size.samples() * size.response;
    seconds *= std::clamp(left / std::max(1.0, groups * size.n * size.response), 0.0, 1.0);
  }
  return {"further rounds", seconds,
          fmt::format("{:.1f} rounds, in which {:.1f} groups are replaced", count, groups)};
}

// The trial of a run whose samples come from workers generates in this process.
Status check_trial(const config::TrainConfig& config, const model::ModelConfig& model,
                   const Size& size, const CostForecast& forecast) {
  if (!config.cluster.on() || !config.machine.is_cpu()) return ok_status();
  CostForecast trial = forecast;
  LS_ASSIGN_OR_RETURN(trial.memory, forecast_memory(config::in_one_process(config), model, size));
  if (trial.fits()) return ok_status();
  return invalid_argument(fmt::format(
      "the trial that measures the times generates and trains in this process, which needs {:.2f} "
      "GiB: make the plan on a machine with more memory",
      trial.memory_peak() / kGiB));
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
  if (!config.trainer.counts_epochs()) forecast.iterations = config.trainer.total_iterations;
  forecast.limit = hard_memory_limit();
  forecast.memory_at_hand = memory_at_hand();
  // The trial would run out of memory.
  if (config.machine.is_cpu() && !forecast.fits()) return forecast;
  LS_RETURN_IF_ERROR(check_trial(config, model, size, forecast));
  LS_ASSIGN_OR_RETURN(Parts parts,
                      make_parts(config::in_one_process(config), {}, "", "", train::alone()));
  forecast.iterations = parts.total_iterations;
  Summary prompt;
  for (const auto& draw : parts.prompts->next(config.data.train_batch_size, 0))
    prompt.add(static_cast<double>(draw.prompt.tokens.size()));
  size.groups = static_cast<double>(prompt.count());
  size.prompt = prompt.mean();
  const double program = forecast.memory.items.front().value;
  LS_ASSIGN_OR_RETURN(forecast.memory, forecast_memory(config, model, size));
  forecast.memory.items.front().value = program;  // measured now, it would include the model
  const config::FilterGroups& filter = config.filter_groups;
  Size trained = size;
  if (filter.enable)
    trained.groups = expected_groups(size.groups, options.flat_groups, filter.max_num_gen_batches);
  Trial trial(config, filter.enable ? 0 : options.flat_groups, parts);
  LS_RETURN_IF_ERROR(trial.run(size, trained));
  forecast.seconds = forecast_seconds(config, trial, size, trained);
  forecast.size = size;
  const bool further = filter.enable && options.flat_groups > 0;
  if (!options.steps && !further) return forecast;
  LS_ASSIGN_OR_RETURN(forecast.steps, trial.measure_steps(size));
  if (trial.tried_whole_rollout())
    forecast.steps = calibrated(*forecast.steps, jobs_of(size, size.groups),
                                config.rollout.max_concurrent, trial.rollout_seconds(size));
  if (further)
    forecast.seconds.insert(forecast.seconds.begin() + 1,
                            further_rounds(config, *forecast.steps, size, options.flat_groups));
  return forecast;
}

}  // namespace longshot::loop
