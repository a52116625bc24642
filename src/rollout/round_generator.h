#pragma once
// Generation in rounds of which several may be in flight, each with its own version of the weights.
// A sample that a round cuts (EngineOptions::segment_tokens) continues in the next one as soon as
// that has begun, so a long sample takes new weights at fixed numbers of tokens. What a round
// gives therefore depends on its jobs and on the rounds before, and not on how fast anything is.

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "rollout/engine.h"

namespace longshot::rollout {

struct RoundRequest {
  std::vector<data::Sample> jobs;  // besides the samples that the round before cuts
  // Groups (prompt id, seed) whose cut samples are continued; those of others are given up.
  std::set<std::pair<std::string, uint64_t>> groups;
  // Options of the jobs and the continued samples. on_finished is called on another thread.
  // token_budget, length_of, forced_of and cancel are not supported.
  EngineOptions options;
};

// What a round has given: by prompt id, seed and index. Partial samples are in the next round too.
struct RoundResult {
  int64_t version = 0;
  std::vector<data::Sample> samples;
  Metrics metrics;  // as from Generator::metrics()
};

// Used on one thread, that of Generator::load_weights(). Generator::generate() must not be called
// while a round is in flight.
class RoundGenerator {
 public:
  virtual ~RoundGenerator() = default;

  // The samples that the last round has cut, in place of those that are known: before the first
  // round of a run that continues.
  virtual void set_cut(std::vector<data::Sample> samples) = 0;
  // Begins a round with the weights in force. Rounds of at most two versions may be in flight.
  // Errors: those of Generator::generate() for the jobs.
  virtual Status begin_round(RoundRequest request) = 0;
  // Waits for the oldest round in flight and removes it. Errors: those of generate(), and cancelled
  // by stop_requested(), after which the round is still in flight. `finish_when_stopped`: a stop
  // does not interrupt it.
  virtual Result<RoundResult> end_round(bool finish_when_stopped) = 0;
  // Gives up all rounds in flight. No function of theirs is called afterwards, and no further round
  // may begin.
  virtual void abandon_rounds() = 0;
};

}  // namespace longshot::rollout
