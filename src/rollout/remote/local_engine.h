#pragma once
// An engine in this process as the engine of a rollout worker.

#include <functional>
#include <unordered_map>

#include "rollout/remote/worker_engine.h"

namespace longshot::rollout {

class LocalEngine final : public WorkerEngine {
 public:
  // Loads weights and returns the engine that has them: the same one each time, or a new one, for
  // which the old one must be idle. Called between two steps. The arguments are those of load().
  using Load =
      std::function<Result<Engine*>(const Json& settings, int64_t version, const Json& source)>;
  explicit LocalEngine(Load load) : load_(std::move(load)) {}

  // Jobs in flight continue with the new weights.
  Status load(const Json& settings, int64_t version, const Json& source) override;
  void release() override;
  Status add(wire::Job job, const EngineOptions& options) override;
  void drop(uint64_t job) override;
  Status advance(const JobEvents& events) override;  // one step
  int running() const override { return engine_ == nullptr ? 0 : engine_->running(); }
  int waiting() const override { return engine_ == nullptr ? 0 : engine_->waiting(); }

 private:
  const Load load_;
  Engine* engine_ = nullptr;
  bool speculate_ = false;
  std::unordered_map<int64_t, uint64_t> job_of_;  // the engine's id -> job
  std::unordered_map<uint64_t, int64_t> id_of_;
};

}  // namespace longshot::rollout
