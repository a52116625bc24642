#include "loop/plan/plan_memory.h"

#include <algorithm>
#include <set>
#include <string>

namespace longshot::loop {
namespace {

// Of a token of a sample: two copies of it and of its log-probability, and its text.
constexpr double kSampleBytes = 24;

std::vector<ForecastItem> items_named(const MemoryForecast& forecast,
                                      const std::set<std::string>& names) {
  std::vector<ForecastItem> kept;
  for (const ForecastItem& item : forecast.items)
    if (names.contains(item.name)) kept.push_back(item);
  return kept;
}

int most_slots(const Hosts& hosts, int slots) {
  int most = 0;
  for (const WorkerHost& kind : hosts.kinds)
    most = std::max(most, kind.slots > 0 ? kind.slots : slots);
  return most;
}

}  // namespace

Result<ClusterMemory> cluster_memory(const config::TrainConfig& config,
                                     const model::ModelConfig& model, const IterationSize& size,
                                     const Hosts& hosts) {
  const int trainers = hosts.trainers.count;
  config::TrainConfig trainer = config, worker = config;
  trainer.cluster.url = worker.cluster.url = "";  // all items; those of each role are chosen below
  trainer.trainer.lanes = std::max(1, config.trainer.lanes / trainers);
  worker.rollout.max_concurrent = most_slots(hosts, config.rollout.max_concurrent);
  worker.rollout.workers = 1;
  LS_ASSIGN_OR_RETURN(MemoryForecast of_trainer, forecast_memory(trainer, model, size));
  LS_ASSIGN_OR_RETURN(const MemoryForecast of_worker, forecast_memory(worker, model, size));
  for (ForecastItem& item : of_trainer.items)
    if (item.name == "moments") item.value /= trainers;
  ClusterMemory memory;
  memory.trained_parameters = static_cast<double>(of_trainer.trained);
  const double weight = config.rollout.dtype == NumberFormat::bf16 ? 2 : 4;
  memory.version_bytes = weight * static_cast<double>(of_trainer.parameters);
  const ForecastItem store{"store", 2 * memory.version_bytes, "two versions, for all of the host"};
  const std::set<std::string> training = {"program",  "weights",     "gradients", "moments",
                                          "KL model", "activations", "lanes",     "undo"};
  if (trainers > 1) memory.trainer = items_named(of_trainer, training);
  std::set<std::string> leading = training;
  leading.insert({"merged weights", "checkpoint"});
  memory.coordinator = items_named(of_trainer, leading);
  const double batches = config.cluster.staleness + 1;
  const double tokens = size.samples() * (size.prompt + size.response);
  memory.coordinator.push_back({"samples", batches * kSampleBytes * tokens, "of a round"});
  memory.coordinator.push_back(store);
  memory.worker = items_named(of_worker, {"program", "rollout weights", "KV cache", "logits"});
  memory.worker.push_back(store);
  return memory;
}

}  // namespace longshot::loop
