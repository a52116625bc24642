#pragma once
// The other end of a RemoteRollout: an engine that takes its jobs from a coordinator and streams
// the tokens back.

#include <functional>

#include "base/json.h"
#include "rollout/engine.h"
#include "wire/worker_link.h"

namespace longshot::rollout {

struct RemoteWorkerOptions {
  // Who this worker is: "name", "host", "fingerprint", "slots" (jobs at a time), and anything else
  // that a person may want to know.
  Json who;
  // Loads weights and returns the engine that has them: the same one each time, or a new one, for
  // which the old one must be idle. Called between two steps. `settings` are those of
  // RemoteOptions, `source` is what RemoteOptions::offer returned.
  std::function<Result<Engine*>(const Json& settings, int64_t version, const Json& source)> load;
  // A report has "tokens", "tokens_per_second", "steps", "running" and "waiting".
  double report_seconds = 0.5;
  // Tokens of a sample are sent once there are this many of them, after this time, or when the
  // sample ends: that is the most that the loss of a worker costs.
  int piece_tokens = 32;
  double piece_seconds = 1;
};

// Works until the connection ends. Ok: the coordinator said that the run has ended. Errors:
// cancelled after stop_requested(); unavailable if the connection was lost; those of `load`.
Status serve_rollouts(wire::WorkerLink& link, const RemoteWorkerOptions& options);

}  // namespace longshot::rollout
