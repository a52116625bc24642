#include "loop/plan/cluster_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/os/clock.h"
#include "base/os/fs.h"
#include "base/os/machine.h"
#include "model/format/model_files.h"

namespace longshot::loop {
namespace {

constexpr size_t kTrialBytes =
    32 << 20;  // that are copied, to measure how fast weights are written

Status validate(const config::TrainConfig& config, const Hosts& hosts) {
  const int trainers = hosts.trainers.count, lanes = config.trainer.lanes;
  if (lanes % trainers != 0) {
    return invalid_argument(
        fmt::format("trainer.lanes = {} cannot be shared by {} trainers: the number of trainers "
                    "must be a power of two, and trainer.lanes at least that number",
                    lanes, trainers));
  }
  if (config.hybrid.on())
    return invalid_argument(
        "the plan of a run on many machines does not know how long the hand-overs of [hybrid] "
        "take: leave its keys out of the planned configuration");
  if (config.rollout.engine.token_budget > 0)
    return invalid_argument(
        "rollout.token_budget does not work with workers; use rollout.segment_tokens");
  const bool shared = std::ranges::any_of(hosts.kinds, &WorkerHost::with_coordinator);
  if (shared && config.cluster.staleness > 0)
    return invalid_argument(
        "cluster.staleness = 1 with a host that has with_coordinator = true: the plan does not "
        "know how a worker and a trainer that work at the same time share their cores");
  return ok_status();
}

// As a version is written into the store: every byte is copied and added to a checksum. The first
// copy also gets the memory from the kernel, and other programs only make it slower.
double bytes_per_second() {
  const std::string from(kTrialBytes, 'x');
  std::string to(kTrialBytes, ' ');
  uint64_t sum = 0;
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const Stopwatch watch;
    std::copy(from.begin(), from.end(), to.begin());
    sum ^= checksum(to);
    best = std::max(best, kTrialBytes / watch.seconds());
  }
  LS_CHECK(sum == checksum(from), "a copy is like its original");
  return best;
}

// The costs with which the simulation of one process gives what the run has measured.
void calibrate(const MeasuredRun& run, PlanInputs& inputs) {
  PlanInputs one = inputs;
  one.hosts = equal_hosts(1, 1).value();
  one.hosts.kinds.front().link_gbits = one.hosts.trainers.link_gbits =
      std::numeric_limits<double>::infinity();
  one.hosts.kinds.front().latency_ms = 0;
  one.staleness = 0;
  one.version_bytes = 0;
  one.costs = {.steps = inputs.costs.steps, .message = 0};
  inputs.costs.steps = scaled(inputs.costs.steps, run.generation / plan_row(one, 1).rollout);
  inputs.costs.update = run.update;
  inputs.costs.load = run.publish;
  inputs.costs.reward = run.reward;
}

double mean_of(const std::vector<int>& lengths) {
  double sum = 0;
  for (const int length : lengths) sum += length;
  return sum / static_cast<double>(lengths.size());
}

PlanInputs inputs_of(const config::TrainConfig& config, const ClusterOptions& options,
                     const ClusterPlan& plan, double flat_groups) {
  const config::FilterGroups& filter = config.filter_groups;
  PlanInputs in;
  in.hosts = options.hosts;
  in.size = plan.size;
  in.measured_threads =
      config.machine.threads > 0 ? config.machine.threads : usable_cores(inspect_machine());
  in.lengths = {.recorded = options.measured ? options.measured->lengths : std::vector<int>(),
                .mean = plan.size.response,
                .spread = options.response_spread,
                .most = config.rollout.engine.sampling.max_response_length};
  in.rounds = expected_rounds(plan.size.groups, filter.enable ? flat_groups : 0,
                              filter.enable ? filter.max_num_gen_batches : 1);
  in.slots = config.rollout.max_concurrent;
  in.segment_tokens = config.rollout.engine.segment_tokens;
  in.reward_threads = config.reward.stage.threads;
  in.staleness = config.cluster.staleness;
  in.optimizer_steps = config.algorithm.mini_batches * config.algorithm.epochs;
  in.version_bytes = plan.memory.version_bytes;
  return in;
}

double seconds_of(const CostForecast& forecast, const std::string& name) {
  for (const ForecastItem& item : forecast.seconds)
    if (item.name == name) return item.value;
  return 0;
}

PlanCosts measured_costs(const CostForecast& forecast, double version_bytes) {
  return {.steps = *forecast.steps,
          .update = seconds_of(forecast, "update"),
          .write = version_bytes / bytes_per_second(),
          .load = seconds_of(forecast, "publish")};
}

// The program's own memory is that of before the trial, which has loaded the model.
Status set_size(const config::TrainConfig& config, const model::ModelConfig& model,
                const IterationSize& size, ClusterPlan& plan) {
  const double program = plan.memory.worker.front().value;
  plan.size = size;
  LS_ASSIGN_OR_RETURN(plan.memory, cluster_memory(config, model, size, plan.hosts));
  for (auto* items : {&plan.memory.coordinator, &plan.memory.trainer, &plan.memory.worker})
    if (!items->empty()) items->front().value = program;
  return ok_status();
}

}  // namespace

Result<ClusterPlan> plan_cluster(const config::TrainConfig& config, const ClusterOptions& options) {
  LS_RETURN_IF_ERROR(validate(config, options.hosts));
  LS_ASSIGN_OR_RETURN(const model::ModelConfig model,
                      model::read_model_config(config.model.source()));
  ClusterPlan plan;
  plan.hosts = options.hosts;
  plan.staleness = config.cluster.staleness;
  ForecastOptions wanted = options.forecast;
  wanted.steps = true;
  if (options.measured) {
    wanted.flat_groups = options.measured->flat_groups;
    wanted.response_length = static_cast<int>(std::lround(mean_of(options.measured->lengths)));
  }
  std::optional<CostForecast> forecast;
  plan.size = largest_size(config);
  if (wanted.response_length > 0) plan.size.response = wanted.response_length;
  LS_ASSIGN_OR_RETURN(plan.memory, cluster_memory(config, model, plan.size, options.hosts));
  if (!options.hosts.costs) {
    LS_ASSIGN_OR_RETURN(forecast, forecast_cost(config, wanted));
    if (forecast->steps) LS_RETURN_IF_ERROR(set_size(config, model, forecast->size, plan));
  }
  if (forecast && !forecast->steps) return plan;
  PlanInputs inputs = inputs_of(config, options, plan, wanted.flat_groups);
  inputs.trained_parameters = plan.memory.trained_parameters;
  inputs.costs = forecast ? measured_costs(*forecast, inputs.version_bytes) : *options.hosts.costs;
  plan.costs_from = forecast ? "a trial on this machine" : "[costs] of the hosts' file";
  if (options.measured) {
    calibrate(*options.measured, inputs);
    plan.costs_from = fmt::format("{} iterations of {}, and a trial of decode steps here",
                                  options.measured->iterations, options.measured->folder);
  }
  plan.costs = inputs.costs;
  plan.rows = plan_rows(inputs);
  return plan;
}

}  // namespace longshot::loop
