#pragma once
// A rollout worker: a process that joins a run, generates what its coordinator asks for, and may
// leave at any moment.

#include <string>
#include <vector>

#include "base/status.h"
#include "config/sections/cluster.h"
#include "data/engine_kind.h"
#include "rollout/runner_kind.h"

namespace longshot::loop {

// Servers of another engine that generate in place of this process.
struct ServerOptions {
  data::EngineKind kind = data::EngineKind::longshot;  // this process generates
  std::vector<std::string> urls;                       // http://HOST:PORT
  std::string api_key;                                 // sent as a bearer token; empty: not sent
  double silence_seconds = 300;  // the longest time without a token of a sample
  bool verify = true;            // compare the log-probabilities of a probe with longshot's own
  double most_gap = 0.1;         // the largest mean difference, in nats
};

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
  ServerOptions servers;
};

// Works until the run is complete. While there is no coordinator, or no server answers, it waits.
// Errors: cancelled after stop_requested(); invalid_argument if the coordinator refuses this
// worker; those of the device and the model, and of a server whose answers make no sense or that
// has other weights than it was given.
Status run_rollout_worker(const RolloutWorkerOptions& options);

}  // namespace longshot::loop
