#include "rollout/engine.h"

#include "base/clock.h"
#include "rollout/generation.h"

namespace longshot::rollout {

Engine::Engine(std::unique_ptr<Runner> runner, const tokenizer::Tokenizer* tokenizer, int threads)
    : runner_(std::move(runner)), tokenizer_(tokenizer), pool_(threads) {}

Engine::~Engine() = default;

Result<std::vector<data::Sample>> Engine::generate(
    std::vector<data::Sample> jobs, const EngineOptions& options,
    const std::function<void(const Progress&)>& on_progress,
    const std::function<bool(size_t job, data::TokenId token, float logprob)>& on_token) {
  const Stopwatch watch;
  Generation generation(*runner_, tokenizer_, options, jobs, pool_);
  LS_RETURN_IF_ERROR(generation.check());
  LS_RETURN_IF_ERROR(generation.run(on_progress, on_token));
  metrics_ = generation.metrics(watch.seconds());
  return jobs;
}

}  // namespace longshot::rollout
