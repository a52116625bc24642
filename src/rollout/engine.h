#pragma once
// Generation for many samples at once, on top of a scheduler and a runner: continuous batching, a
// group's prompt computed once, randomness keyed by sample identity. Every sample ends with a
// data::FinishReason.

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "base/run_event.h"
#include "base/spelling.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "data/types.h"
#include "rollout/runner.h"
#include "rollout/sampling/drafter.h"
#include "rollout/sampling/repetition.h"
#include "rollout/sampling/sampler.h"
#include "rollout/sampling/stop_rules.h"
#include "rollout/schedule/scheduler.h"
#include "tokenizer/tokenizer.h"

namespace longshot::rollout {

// What guesses the next tokens, which are fed wherever a pass is expected to be faster with them.
// Tokens and log-probabilities stay the same, bit for bit if the runner is batch-invariant.
enum class Speculation {
  off,
  ngram,  // see Drafter
};

constexpr auto spellings(Speculation) {
  using enum Speculation;
  return std::to_array<Spelling<Speculation>>({{off, "off"}, {ngram, "ngram"}});
}

struct EngineOptions {
  SamplingOptions sampling;
  RepetitionOptions repetition;
  // Output tokens per generate() call; 0 = unlimited. With a budget all running samples advance by
  // one token at a time. The step that would exceed it advances only the first samples (in the
  // order of `jobs`), up to exactly the budget. Unfinished samples then come back as `partial`;
  // those that were never started have no tokens.
  int64_t token_budget = 0;
  // Most output tokens of one sample per generate() call; 0 = no cap. A sample that reaches it
  // comes back as `partial`. Where it is cut depends on the sample alone, not on the other jobs or
  // on the engines that share the work (the cap of each trajectory in the report's section 2.6.2).
  int segment_tokens = 0;
  // With a token_budget there are no guesses, because the samples advance in lockstep.
  Speculation speculation = Speculation::off;
  // Returns the most tokens of a sample's response, in place of sampling.max_response_length; null:
  // the latter applies to all. Called once for each job, before anything is generated.
  std::function<int(const data::Sample& job)> length_of;
  // Returns the tokens that a sample's response must begin with (Request::forced); null: none.
  // Called like length_of, which includes them.
  std::function<std::vector<data::TokenId>(const data::Sample& job)> forced_of;
  const std::atomic<bool>* cancel = nullptr;  // read once per step; borrowed
  bool finish_when_stopped = false;           // stop_requested() does not interrupt
  // Called with each sample as soon as it has ended and is not partial, on a thread that generates,
  // so it must be quick. Calls never overlap.
  std::function<void(const data::Sample& sample)> on_finished;
};

struct Progress {
  int64_t finished = 0, total = 0, generated_tokens = 0;
};

// Whether a generate() with these options must return what it has.
bool is_interrupted(const EngineOptions& options);

class RoundGenerator;  // round_generator.h

// Turns jobs into samples: one engine, or several (see EngineGroup).
class Generator {
 public:
  virtual ~Generator() = default;

  // Fills each job's tokens, logprobs, segments, finish and text. The result has the order of
  // `jobs`. It is interrupted by `cancel` and by stop_requested(): unfinished samples come back as
  // `partial`. Error: those of check_request(), or logits that are not finite.
  virtual Result<std::vector<data::Sample>> generate(
      std::vector<data::Sample> jobs, const EngineOptions& options,
      const std::function<void(const Progress&)>& on_progress) = 0;
  virtual const Metrics& metrics() const = 0;  // of the last generate()
  // Null if this generator cannot have several rounds in flight.
  virtual RoundGenerator* rounds() { return nullptr; }
  // What has happened to its processes since the last call.
  virtual std::vector<RunEvent> take_events() { return {}; }
  // The run is complete: nothing will be generated any more, also by a later process.
  virtual void run_has_ended() {}
  virtual Status load_weights(const model::WeightsView& weights) = 0;  // see Runner
  // Frees weights and KV memory of this process until the next load_weights(). Nothing may be
  // generated meanwhile.
  virtual void release() {}
};

// One sample to generate. prompt_id, index, seed and prompt_tokens must be set. A sample that
// already has tokens, their logprobs and finish = partial is continued after them: earlier segments
// are kept, and new ones with the runner's version are appended.
struct Request {
  data::Sample sample;
  SamplingOptions sampling;
  RepetitionOptions repetition;
  // The response begins with these tokens, whatever their probability: scoring of given text. They
  // are recorded like sampled ones, with their log-probabilities at temperature 1 and without
  // filters. They count towards max_response_length, but no other rule ends a sample within them,
  // and Sample::text begins after them. The random numbers of the tokens that follow are those of
  // a prompt that ends with them. Must be empty if the sample has tokens.
  std::vector<data::TokenId> forced = {};
  // The sample ends as `partial` after this many new tokens, unless it ends by itself; 0 = no cap.
  int segment_tokens = 0;
  // Made by prepare_adapter() of the same runner; null: the base model. A step computes samples of
  // different adapters together.
  std::shared_ptr<const RunnerAdapter> adapter = nullptr;
};

struct Finished {
  int64_t id = 0;
  data::Sample sample;
};

struct StepOptions {
  int max_draws = std::numeric_limits<int>::max();
  bool lockstep = false;   // see PlanOptions
  bool speculate = false;  // see Speculation
  // Called with every token as it is sampled; returning false aborts that sample.
  std::function<bool(int64_t id, const Choice& choice)> on_token;
};

// The checks of Engine::add(), for a model of `vocab_size` tokens. Pure.
Status check_request(const Request& request, const RunnerLimits& limits, int vocab_size,
                     bool has_tokenizer);

// Not thread-safe.
class Engine final : public Generator {
 public:
  // `tokenizer` is borrowed. It may be null: then stop strings are refused and Sample::text stays
  // empty. The engine samples from the logits between forward passes on `threads` >= 1 threads of
  // its own; their number does not change results.
  Engine(std::unique_ptr<Runner> runner, const tokenizer::Tokenizer* tokenizer, int threads = 1);
  ~Engine() override;

  // Its weights may be changed between two steps: what was computed with the old ones is then
  // computed again.
  Runner& runner() { return *runner_; }

  // If true, the prefix cache also keeps the KV of finished samples, for conversations whose next
  // turn begins with them. The KV of partial samples is always kept.
  void keep_finished(bool keep) { keep_finished_ = keep; }

  // Adds a sample, at any time between steps, and returns its id. Requests with the same prompt and
  // adapter form one group. Error, as in check_request(): an option is out of range; the sample has
  // no prompt or a token outside the vocabulary; or its prompt and max_response_length exceed the
  // runner's max_sequence or its KV memory.
  Result<int64_t> add(Request request);
  // Runs one forward pass and samples the tokens it gives; does nothing if idle. Error: logits that
  // are not finite.
  Status step(const StepOptions& options = {});
  // Removes a sample, in any state, and returns it with its tokens so far and the given reason.
  data::Sample abort(int64_t id, data::FinishReason reason);
  // Returns the samples that ended since the last call, in the order in which they ended.
  std::vector<Finished> take_finished() { return std::exchange(finished_, {}); }
  bool idle() const { return live_.empty(); }
  int running() const { return scheduler_.running(); }
  int waiting() const { return scheduler_.waiting(); }
  int kv_blocks_in_use() const { return scheduler_.blocks_in_use(); }
  int64_t steps() const { return passes_.passes; }
  const tokenizer::Tokenizer* tokenizer() const { return tokenizer_; }

  // The engine must be idle.
  Result<std::vector<data::Sample>> generate(
      std::vector<data::Sample> jobs, const EngineOptions& options,
      const std::function<void(const Progress&)>& on_progress = nullptr) override {
    return generate(std::move(jobs), options, on_progress, nullptr);
  }
  // `on_token` (may be null) is called with every token as it is sampled; returning false aborts
  // that sample.
  Result<std::vector<data::Sample>> generate(
      std::vector<data::Sample> jobs, const EngineOptions& options,
      const std::function<void(const Progress&)>& on_progress,
      const std::function<bool(size_t job, data::TokenId token, float logprob)>& on_token);
  Status load_weights(const model::WeightsView& weights) override {
    return runner_->load_weights(weights);
  }
  void release() override;  // the engine must be idle

  // The metrics of the last generate(): rollout/generated_tokens, rollout/prefill_tokens,
  // rollout/cached_tokens, rollout/decode_steps, rollout/tokens_per_second, rollout/mean_batch,
  // rollout/preemptions, rollout/kv_peak_blocks, rollout/kv_bytes, rollout/seconds,
  // rollout/tokens_per_forward (of one sample: 1 without speculation), memory/kv_gb,
  // memory/rollout_weights_gb (GiB), rollout/draft_tokens (guesses fed), rollout/accepted_tokens
  // (guesses drawn), rollout/acceptance_rate. A mean or rate of nothing is absent: without guesses
  // there is no acceptance rate.
  const Metrics& metrics() const override { return metrics_; }

 private:
  struct LiveSample {
    Request request;
    int64_t group = 0;
    uint64_t prompt_key = 0;
    int first_new = 0;             // response length at which the current segment began
    size_t cut_at = 0;             // response length at which it ends as partial; 0: never
    SamplingOptions after_forced;  // max_response_length without the forced tokens
    std::unique_ptr<StopRules> rules;
    size_t forced() const { return request.forced.size(); }
  };
  struct Group {
    int64_t id = 0;
    int members = 0;
  };

  struct Passes {
    int64_t passes = 0, draws = 0;  // draws: number of samples that drew, summed over passes
  };

  Status check(const Request& request) const;
  void follow_weights();
  void draft();
  void draft_forced();
  Choice pick(const LiveSample& live, size_t ahead, size_t row, Sampler& sampler) const;
  // A feed, and the first of the rows of logits_ that it draws from.
  struct Draw {
    Feed feed;
    size_t row;
  };
  Status draw(std::span<const Draw> draws, std::vector<std::vector<Choice>>& choices);
  bool accept(int64_t id, const Choice& choice, const StepOptions& options);
  void close_segment(LiveSample& live, int64_t version);
  data::Sample take(int64_t id, data::FinishReason reason);
  Status run_jobs(std::vector<data::Sample>& jobs, const std::map<int64_t, size_t>& job_of,
                  const EngineOptions& options, Progress& progress,
                  const std::function<void(const Progress&)>& on_progress, const StepOptions& step);
  void report(const Scheduler::Counts& before, const Progress& progress,
              const Passes& passes_before, double seconds);

  std::unique_ptr<Runner> runner_;
  const tokenizer::Tokenizer* tokenizer_;
  ThreadPool pool_;
  Scheduler scheduler_;
  std::vector<Sampler> samplers_;                 // one per parallel chunk of rows
  std::vector<float> logits_;                     // [rows, vocab]
  std::unordered_map<int64_t, LiveSample> live_;  // by id
  // By adapter and prompt.
  std::map<std::pair<int64_t, std::vector<data::TokenId>>, Group> groups_;
  std::vector<Finished> finished_;
  std::unique_ptr<Drafter> drafter_;  // created by the first speculative step of a generate()
  int64_t next_id_ = 0, next_group_ = 0;
  int64_t forced_left_ = 0;  // forced tokens that are not scored yet, of all samples
  int64_t version_ = -1;     // of the weights that the KV cache was computed with
  Passes passes_;
  bool keep_finished_ = false;
  Metrics metrics_;
};

}  // namespace longshot::rollout
