#pragma once
// The rollouts of the next iteration, generated while the trainer works (cluster.staleness).

#include <atomic>
#include <future>
#include <vector>

#include "base/json.h"
#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"
#include "rollout/engine.h"

namespace longshot::loop {

// What was generated for an iteration before it began.
struct AheadSamples {
  std::vector<data::Sample> samples;
  Metrics metrics;  // of the rollout
};
Json to_json(const AheadSamples& ahead);
Result<AheadSamples> ahead_samples_from_json(const Json& json, const std::string& where);

// At most one generate() at a time, on a thread of its own. Between start() and finish() the
// generator must not be used otherwise.
class AheadRollout {
 public:
  ~AheadRollout();  // gives up what is being generated

  // A stop does not interrupt it, because a resumed run does not have the weights that generate.
  // on_finished of `options` is called on the other thread.
  void start(rollout::Generator& generator, std::vector<data::Sample> jobs,
             rollout::EngineOptions options);
  bool started() const { return running_.valid(); }
  // Waits. Errors are those of Generator::generate().
  Result<AheadSamples> finish();

 private:
  std::atomic<bool> cancel_ = false;
  std::future<Result<AheadSamples>> running_;
};

}  // namespace longshot::loop
