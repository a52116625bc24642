#pragma once
// The other end of a RemoteRollout: takes jobs from a coordinator for an engine, and streams the
// tokens back.

#include "base/json.h"
#include "rollout/remote/worker_engine.h"
#include "wire/worker_link.h"

namespace longshot::rollout {

struct RemoteWorkerOptions {
  // Who this worker is: "name", "host", "fingerprint", "slots" (jobs at a time), "engine" (absent:
  // longshot's own), and anything else that a person may want to know.
  Json who;
  // A report has "tokens", "tokens_per_second", "steps", "running" and "waiting".
  double report_seconds = 0.5;
  // Tokens of a sample are sent once there are this many of them, after this time, or when the
  // sample ends: that is the most that the loss of a worker costs.
  int piece_tokens = 32;
  double piece_seconds = 1;
};

// Works until the connection ends. `engine` has no job afterwards. Ok: the coordinator said that
// the run has ended. Errors: cancelled after stop_requested(); unavailable if the connection was
// lost; those of the engine.
Status serve_rollouts(wire::WorkerLink& link, WorkerEngine& engine,
                      const RemoteWorkerOptions& options);

}  // namespace longshot::rollout
