#pragma once
// Predicts the time of an iteration of a run on many machines, from the measured costs of one
// machine and a simulation of the others (loop/simulation/round.h). Pure.
//
// Of W trainers, with an update of U seconds on one, S optimizer steps, P trained parameters and
// links of B bytes a second:
//   update = U / W + S * 2 * (W - 1) / W * 4 * P / B + (W - 1) * 12 * tokens of the batch / B
// because gradients go to the owners of the elements and weights come back (train/shard/exchange.h)
// and process 0 sends the batch to the others. Each host with workers fetches a version of the
// weights from the coordinator, all at the same time, except for the coordinator's own.

#include <vector>

#include "loop/forecast/memory_forecast.h"
#include "loop/plan/hosts.h"
#include "loop/simulation/expected_rounds.h"

namespace longshot::loop {

// An iteration with a number of workers, in seconds. Without staleness its parts add up to
// `iteration`; with it, the update and the rollout are at the same time.
struct ClusterRow {
  int workers = 0;
  double weights = 0;  // while nothing is generated, because no worker has the new weights
  double write = 0;    // of these, until the coordinator has written them
  double rollout = 0;  // with the further rounds
  double reward = 0;   // after the last sample of a round
  double update = 0;
  double iteration = 0;
  double trainer_idle = 0, worker_idle = 0;  // shares of the iteration
  double tokens = 0;                         // generated a second
  double intake = 0;                         // bytes a second during the rollout, coordinator
};

// What a plan is computed from.
struct PlanInputs {
  PlanCosts costs;
  int measured_threads = 1;
  Hosts hosts;
  IterationSize size;
  Lengths lengths;
  std::vector<ExpectedRound> rounds;
  int slots = 1;           // rollout.max_concurrent
  int segment_tokens = 0;  // 0: no cap
  int reward_threads = 1;
  int staleness = 0;
  int optimizer_steps = 1;
  double trained_parameters = 0, version_bytes = 0;
};

double update_seconds(const PlanInputs& inputs);
ClusterRow plan_row(const PlanInputs& inputs, int workers);
// 1, 2, 4, ... workers and those of the hosts, up to where twice as many save less than 2 %.
std::vector<ClusterRow> plan_rows(const PlanInputs& inputs);
// The first row for which twice as many workers save less than a tenth; rows.size() if there is
// none.
size_t enough_workers(const std::vector<ClusterRow>& rows);

}  // namespace longshot::loop
