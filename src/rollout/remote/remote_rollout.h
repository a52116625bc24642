#pragma once
// A Generator whose engines are other processes, on this or other hosts, which join and leave while
// it works. Each of them dials; see remote_worker.h.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "rollout/engine.h"
#include "rollout/round_generator.h"
#include "wire/link_options.h"

namespace longshot::rollout {

struct RemoteOptions {
  std::string listen = "127.0.0.1:0";  // HOST:PORT; port 0 takes any free one
  wire::LinkOptions link;
  // A worker that is not heard of for this long has its jobs given to others as well.
  double silence_seconds = 3;
  // What a worker must know to make its engine; sent to it as it is.
  Json settings;
  // Makes weights available to workers and returns where they are, in the form that the workers'
  // RemoteWorkerOptions::load understands. Called by load_weights().
  std::function<Result<Json>(const model::WeightsView& weights)> offer;
  // Called often while generate() runs, on its thread; must be quick. An error ends generate() with
  // it. May be null.
  std::function<Status()> check;
  // Jobs are checked against these like those of an engine in this process.
  RunnerLimits limits;
  int vocab_size = 0;
  bool has_tokenizer = true;
  // If not empty, a worker whose arithmetic has another fingerprint is refused.
  std::string fingerprint;
};

// generate(), load_weights() and the functions of RoundGenerator must be called on one thread.
class RemoteRollout final : public Generator, public RoundGenerator {
 public:
  // Workers may join as soon as it returns. Error: the address cannot be bound.
  static Result<std::unique_ptr<RemoteRollout>> start(RemoteOptions options);
  ~RemoteRollout() override;

  int port() const;

  // Waits while there is no worker, and says so from time to time. token_budget is not supported,
  // because where it cuts would depend on the workers; segment_tokens is. Error, besides those of
  // Generator: two workers cannot execute the same job.
  Result<std::vector<data::Sample>> generate(
      std::vector<data::Sample> jobs, const EngineOptions& options,
      const std::function<void(const Progress&)>& on_progress) override;

  // rollout/generated_tokens, rollout/seconds, rollout/tokens_per_second, rollout/workers (those
  // that were ready at the end), the metrics of Pool, and, since the metrics before:
  // rollout/host_tokens/HOST (that arrived from its workers, repeated ones too), rollout/loads (of
  // weights by workers) and, if there was one, rollout/load_seconds_max (from the order to the end
  // of the longest one).
  const Metrics& metrics() const override { return metrics_; }

  // Offers the weights, unless their version is in force already, and tells the workers, those with
  // jobs of a round in flight when they have done them. Does not wait for them: a worker that has
  // loaded them gets jobs.
  Status load_weights(const model::WeightsView& weights) override;

  // Has the workers free their memory until the next load_weights(); one that joins meanwhile loads
  // nothing. No round may be in flight.
  void release() override;

  RoundGenerator* rounds() override { return this; }
  void set_cut(std::vector<data::Sample> samples) override;
  Status begin_round(RoundRequest request) override;
  Result<RoundResult> end_round(bool finish_when_stopped) override;
  void abandon_rounds() override;

  // At most kMostEvents; older ones are forgotten.
  std::vector<RunEvent> take_events() override;
  static constexpr size_t kMostEvents = 10000;

  // Tells the workers, so that they end. Without it they wait for a coordinator to return.
  void run_has_ended() override;

  // For people and metrics: "version" of the weights in force, "round", "samples", "finished",
  // "waiting" (samples that no worker has), "tokens" and "reissued" of the current round,
  // and "workers", a list of {"name", "host", "address", "version", "silent", "report"}.
  // Thread-safe.
  Json status() const;

 private:
  class Impl;
  explicit RemoteRollout(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  Metrics metrics_;
};

}  // namespace longshot::rollout
