#pragma once
// The machines of a run on many machines, as `longshot doctor --plan --hosts FILE` reads them. All
// speeds are relative to the machine whose costs were measured.

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "loop/simulation/round.h"

namespace longshot::loop {

// Processes that share an update; the first one is the coordinator.
struct TrainerHosts {
  int count = 1;
  double speed = 1;        // of an update on one of them
  double link_gbits = 10;  // 1e9 bits a second, in each direction
};

struct WorkerHost {
  int count = 1;    // hosts of this kind
  int workers = 1;  // on each of them
  // That the workers of a host share; 0: as many as their threads. Two cores that slow one another
  // down, because they share memory or arithmetic, count as less than 2.
  double cores = 0;
  int threads = 0;   // of a worker; 0: as many as the measured process had
  double speed = 1;  // of a core, or of the whole device
  int slots = 0;     // samples that a worker generates at a time; 0: rollout.max_concurrent
  double link_gbits = 10;
  double latency_ms = 0.2;
  bool with_coordinator = false;  // on the coordinator's machine, so that no weights are fetched

  // Of a worker if `workers` of the host work. `measured_threads`: of the process with speed 1.
  double worker_speed(int workers, int measured_threads) const;
};

// What an iteration costs on the measured machine, in seconds.
struct PlanCosts {
  StepCosts steps;
  double update = 0;       // of one trainer
  double write = 0;        // the coordinator writes a version of the weights
  double load = 0;         // a worker prepares them
  double reward = 0;       // to judge a sample
  double message = 50e-6;  // the coordinator takes in a piece of a sample
};

struct Hosts {
  TrainerHosts trainers;
  std::vector<WorkerHost> kinds;   // at least one
  std::optional<PlanCosts> costs;  // given instead of measured
  int workers() const;
};

// `trainers` and `workers` machines like the measured one, linked by 10 Gbit/s. Error:
// invalid_argument if one of them is less than 1.
Result<Hosts> equal_hosts(int trainers, int workers);
// Errors name the file and the key.
Result<Hosts> read_hosts(const std::string& path);

// A worker of a plan, and the host that it is on. Hosts are numbered from 0.
struct PlacedWorker {
  WorkerHost kind;
  int host = 0;
  double speed = 1;
};
// The first `count` workers of the hosts. If there are fewer, the hosts are repeated, without the
// coordinator's.
std::vector<PlacedWorker> place_workers(const Hosts& hosts, int count, int measured_threads);

}  // namespace longshot::loop
