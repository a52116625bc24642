#include "loop/plan/cluster_rows.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace longshot::loop {
namespace {

constexpr double kFloat = sizeof(float);
constexpr double kGbit = 1e9 / 8;   // bytes
constexpr double kRowBytes = 12;    // of a token of a batch: itself, two numbers
constexpr int kMostWorkers = 1024;  // of a row, unless the hosts have more
constexpr double kWorthDoubling = 0.1, kNoUse = 0.02;

double tokens_of(const std::vector<int>& lengths) {
  double sum = 0;
  for (const int length : lengths) sum += length;
  return sum;
}

// When each worker has the new weights, counted from when the coordinator has written them.
std::vector<double> ready_times(const PlanInputs& inputs, const std::vector<PlacedWorker>& placed) {
  std::vector<double> links, fetched;
  std::map<int, size_t> link_of;  // host -> index; those that fetch
  for (const PlacedWorker& worker : placed) {
    if (worker.kind.with_coordinator || link_of.contains(worker.host)) continue;
    link_of[worker.host] = links.size();
    links.push_back(worker.kind.link_gbits * kGbit);
  }
  fetched = fetch_seconds(inputs.version_bytes, inputs.hosts.trainers.link_gbits * kGbit, links);
  std::vector<double> ready;
  for (const PlacedWorker& worker : placed) {
    const double fetch = worker.kind.with_coordinator
                             ? 0
                             : fetched[link_of[worker.host]] + worker.kind.latency_ms / 1e3;
    ready.push_back(fetch + inputs.costs.load / worker.speed);
  }
  return ready;
}

std::vector<SimulatedWorker> simulated(const PlanInputs& inputs,
                                       const std::vector<PlacedWorker>& placed) {
  std::map<int, int> on_host;
  for (const PlacedWorker& worker : placed) ++on_host[worker.host];
  std::vector<SimulatedWorker> out;
  for (const PlacedWorker& worker : placed)
    out.push_back({.speed = worker.speed,
                   .slots = worker.kind.slots > 0 ? worker.kind.slots : inputs.slots,
                   .ready = 0,
                   .bytes_per_second = worker.kind.link_gbits * kGbit / on_host[worker.host],
                   .latency = worker.kind.latency_ms / 1e3});
  return out;
}

// The jobs of a round. Each has lengths of its own.
SimulatedJobs jobs_of(const PlanInputs& inputs, size_t round) {
  const int groups = std::max(1, static_cast<int>(std::lround(inputs.rounds[round].groups)));
  const int n = static_cast<int>(inputs.size.n);
  SimulatedJobs jobs{inputs.lengths.draw(groups * n, round + 1), n, inputs.size.prompt};
  if (inputs.segment_tokens > 0)
    for (int& length : jobs.lengths) length = std::min(length, inputs.segment_tokens);
  return jobs;
}

double batch_tokens(const PlanInputs& inputs) {
  return inputs.size.groups * inputs.size.n * (inputs.size.prompt + inputs.size.response);
}

}  // namespace

double update_seconds(const PlanInputs& inputs) {
  const double count = inputs.hosts.trainers.count;
  const double link = inputs.hosts.trainers.link_gbits * kGbit;
  const double exchanged =
      inputs.optimizer_steps * 2 * (count - 1) / count * kFloat * inputs.trained_parameters;
  const double batch = (count - 1) * kRowBytes * batch_tokens(inputs);
  return inputs.costs.update / count / inputs.hosts.trainers.speed + (exchanged + batch) / link;
}

ClusterRow plan_row(const PlanInputs& inputs, int workers) {
  const auto placed = place_workers(inputs.hosts, workers, inputs.measured_threads);
  std::vector<SimulatedWorker> simulated_workers = simulated(inputs, placed);
  const std::vector<double> ready = ready_times(inputs, placed);
  const double first = std::ranges::min(ready);
  for (size_t i = 0; i < ready.size(); ++i) simulated_workers[i].ready = ready[i];
  const Intake intake{.bytes_per_second = inputs.hosts.trainers.link_gbits * kGbit,
                      .message_seconds = inputs.costs.message,
                      .reward_seconds = inputs.costs.reward,
                      .reward_threads = inputs.reward_threads};
  const bool ahead = inputs.staleness > 0;  // the first round is generated during an update
  const double begin = ahead ? 0 : first;
  ClusterRow row{.workers = workers,
                 .weights = inputs.costs.write + begin,
                 .write = inputs.costs.write,
                 .update = update_seconds(inputs)};
  double busy = 0, tokens = 0, bytes = 0, hidden = 0;
  for (size_t r = 0; r < inputs.rounds.size(); ++r) {
    const SimulatedJobs jobs = jobs_of(inputs, r);
    const SimulatedRound round =
        simulate_round(inputs.costs.steps, jobs, simulated_workers, intake);
    const double share = inputs.rounds[r].probability;
    const bool hides = ahead && r == 0;
    const double end = hides ? std::max(round.seconds, row.update) : round.seconds;
    if (hides) hidden = std::min(round.seconds, row.update);
    row.rollout += share * (round.seconds - (r == 0 ? begin : 0));
    row.reward += share * std::max(0.0, round.judged - end);
    busy += share * round.busy;
    bytes += share * round.bytes;
    tokens += share * tokens_of(jobs.lengths);
    for (SimulatedWorker& worker : simulated_workers) worker.ready = 0;
  }
  row.iteration = row.weights + row.rollout + row.reward + row.update - hidden;
  row.trainer_idle = 1 - row.update / row.iteration;
  row.worker_idle = 1 - busy / (workers * row.iteration);
  row.tokens = tokens / row.iteration;
  row.intake = bytes / row.rollout;
  return row;
}

std::vector<ClusterRow> plan_rows(const PlanInputs& inputs) {
  const int own = inputs.hosts.workers();
  std::map<int, ClusterRow> rows{{own, plan_row(inputs, own)}};
  for (int count = 1; count <= std::max(kMostWorkers, own); count *= 2) {
    rows.emplace(count, plan_row(inputs, count));
    if (count < 2 || count < own) continue;
    if (rows.at(count).iteration > (1 - kNoUse) * rows.at(count / 2).iteration) break;
  }
  std::vector<ClusterRow> out;
  for (const auto& [count, row] : rows) out.push_back(row);
  return out;
}

size_t enough_workers(const std::vector<ClusterRow>& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t j = i + 1; j < rows.size(); ++j) {
      if (rows[j].workers != 2 * rows[i].workers) continue;
      if (rows[j].iteration > (1 - kWorthDoubling) * rows[i].iteration) return i;
    }
  }
  return rows.size();
}

}  // namespace longshot::loop
