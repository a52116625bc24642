#pragma once
// Generation for many samples at once: admits jobs to KV slots, prefills a group's prompt once, decodes
// in batch, samples with identity-keyed randomness, and ends each sample for one of data::FinishReason.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "data/types.h"
#include "rollout/repetition.h"
#include "rollout/runner.h"
#include "rollout/sampler.h"
#include "tokenizer/tokenizer.h"

namespace longshot::rollout {

struct EngineOptions {
  SamplingOptions sampling;
  RepetitionOptions repetition;
  // Output tokens per generate() call; 0 = unlimited. All running samples advance by one token at a time; the
  // step that would exceed the budget advances only the first samples (in the order of `jobs`) up to exactly the
  // budget. What is unfinished then comes back as `partial`, what was never started with no tokens.
  int64_t token_budget = 0;
  const std::atomic<bool>* cancel = nullptr;  // looked at once per step; borrowed
};

struct Progress {
  int64_t finished = 0, total = 0, generated_tokens = 0;
};

// Not thread-safe; one generate() at a time.
class Engine {
 public:
  // `tokenizer` may be null: then stop strings are refused and Sample::text stays empty. Borrowed.
  // `threads` >= 1 of its own sample from the logits while the runner rests; they do not change results.
  Engine(std::unique_ptr<Runner> runner, const tokenizer::Tokenizer* tokenizer, int threads = 1);
  ~Engine();

  Runner& runner() { return *runner_; }

  // Fills each job's tokens, logprobs, segments, finish and text. A job enters with prompt_id, index, seed and
  // prompt_tokens set; one that enters with tokens and finish = partial is continued after them (earlier
  // segments are kept, a new one with the runner's version is appended). The result has the order of `jobs`.
  // `on_token` (may be null) sees every token as it is sampled; returning false aborts that sample.
  // stop_requested() or a set `cancel` aborts: unfinished samples come back as `partial`.
  // Errors: options out of range; a job without a prompt, with a token outside the vocabulary, or whose prompt and
  // max_response_length exceed the runner's max_sequence; logits that are not finite.
  Result<std::vector<data::Sample>> generate(
      std::vector<data::Sample> jobs, const EngineOptions& options,
      const std::function<void(const Progress&)>& on_progress = nullptr,
      const std::function<bool(size_t job, data::TokenId token, float logprob)>& on_token =
          nullptr);

  // Of the last generate(): rollout/generated_tokens, rollout/prefill_tokens, rollout/decode_steps,
  // rollout/tokens_per_second, rollout/mean_batch, rollout/seconds.
  const Metrics& metrics() const { return metrics_; }

 private:
  std::unique_ptr<Runner> runner_;
  const tokenizer::Tokenizer* tokenizer_;
  ThreadPool pool_;
  Metrics metrics_;
};

}  // namespace longshot::rollout
