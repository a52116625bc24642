#pragma once
// The state of one Engine::generate() call.

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "rollout/engine.h"
#include "rollout/scheduler.h"
#include "rollout/stop_rules.h"

namespace longshot::rollout {

class Generation {
 public:
  using OnToken = std::function<bool(size_t job, data::TokenId token, float logprob)>;

  // Everything is borrowed.
  Generation(Runner& runner, const tokenizer::Tokenizer* tokenizer, const EngineOptions& options,
             std::vector<data::Sample>& samples, ThreadPool& pool);

  // Checks options and jobs; no work is done before every job is known to be sound.
  Status check() const;
  Status run(const std::function<void(const Progress&)>& on_progress, const OnToken& on_token);
  Metrics metrics(double seconds) const;

 private:
  // A sample that holds a slot. Its last token is pending: known, but not yet in the KV cache.
  struct Running {
    int id = 0;   // the scheduler's number
    int job = 0;  // index into the samples
    int slot = 0;
    int cached =
        0;  // tokens in the KV cache: always prompt + response - 1 when a decode step begins
    int first_new = 0;  // response length at which this call began
    uint64_t prompt_key = 0;
    std::unique_ptr<StopRules> rules;
  };

  void enqueue();
  void admit();
  void prefill(std::vector<Running*> jobs);
  Status decode(const OnToken& on_token);
  Status draw(size_t count, std::vector<Choice>& choices);
  void accept(Running& running, Choice choice, const OnToken& on_token);
  void retire(const Running& running);
  bool interrupted() const;
  bool budget_spent() const;
  int prompt_length(int job) const { return static_cast<int>(samples_[job].prompt_tokens.size()); }
  data::TokenId token_at(int job, int position) const;
  std::span<float> logits(size_t rows);

  Runner& runner_;
  const tokenizer::Tokenizer* tokenizer_;
  const EngineOptions& options_;
  std::vector<data::Sample>& samples_;
  ThreadPool& pool_;
  Scheduler scheduler_;
  std::vector<int> job_of_;        // scheduler job -> sample
  std::vector<Running> running_;   // ascending by job
  std::vector<Sampler> samplers_;  // one per parallel chunk of rows
  std::vector<float> logits_;      // [rows, vocab]
  Progress progress_;
  int64_t prefill_tokens_ = 0, decode_steps_ = 0, decoded_rows_ = 0;
};

}  // namespace longshot::rollout
