#pragma once
// A rollout worker: a process that joins a run, generates what its coordinator asks for, and may
// leave at any moment.

#include <string>

#include "base/status.h"
#include "config/sections/cluster.h"
#include "rollout/runner_kind.h"

namespace longshot::loop {

struct RolloutWorkerOptions {
  config::ClusterAccess access;
  std::string name;            // in logs; empty: host and process id
  std::string device = "cpu";  // that computes
  rollout::RunnerKind runner = rollout::RunnerKind::automatic;
  int threads = 0;                     // 0: all usable cores
  int slots = 0;                       // samples at the same time; 0: as the run says
  std::string weights_dir;             // for the weights; empty: in /dev/shm
  std::string listen = "127.0.0.1:0";  // HOST:PORT that serves the weights to other workers
  std::string advertise;               // the host by which they reach it; empty: that of `listen`
};

// Works until the run is complete. While there is no coordinator it waits for one. Errors:
// cancelled after stop_requested(); invalid_argument if the coordinator refuses this worker; those
// of the device and the model.
Status run_rollout_worker(const RolloutWorkerOptions& options);

}  // namespace longshot::loop
