// Speculation on real arithmetic: the kernels give the tokens of a draft the same bits as when they
// are computed one by one.

#include <gtest/gtest.h>

#include <optional>

#include "base/rng.h"
#include "rollout/cpu/cpu_runner.h"
#include "rollout/engine.h"
#include "rollout/testing.h"

namespace longshot::rollout {
namespace {

using Outcome = std::vector<std::pair<std::vector<data::TokenId>, std::vector<float>>>;

Outcome outcome_of(const std::vector<data::Sample>& samples) {
  Outcome out;
  for (const auto& s : samples) out.emplace_back(s.tokens, s.logprobs);
  return out;
}

std::vector<data::Sample> group_jobs(int prompts, int per_prompt) {
  std::vector<data::Sample> jobs;
  for (int i = 0; i < prompts * per_prompt; ++i) {
    data::Sample& s = jobs.emplace_back();
    const int prompt = i / per_prompt;
    s.prompt_id = "prompt-" + std::to_string(prompt);
    s.index = static_cast<uint32_t>(i % per_prompt);
    s.seed = 5;
    CounterRng rng(100 + static_cast<uint64_t>(prompt));
    for (int t = 0; t <= 11 * prompt; ++t)
      s.prompt_tokens.push_back(static_cast<int32_t>(rng.next_below(67)));
  }
  return jobs;
}

// Feeds every guess, so that a small random model has many rejected ones.
class EagerRunner : public Runner {
 public:
  explicit EagerRunner(std::unique_ptr<Runner> runner) : runner_(std::move(runner)) {}
  Status load_weights(const model::WeightsView& weights) override {
    return runner_->load_weights(weights);
  }
  int64_t version() const override { return runner_->version(); }
  void release() override { runner_->release(); }
  void copy_block(int from, int to) override { runner_->copy_block(from, to); }
  void forward(std::span<const SequenceStep> steps, std::span<float> logits) override {
    runner_->forward(steps, logits);
  }
  const model::ModelConfig& config() const override { return runner_->config(); }
  RunnerLimits limits() const override { return runner_->limits(); }
  bool batch_invariant() const override { return runner_->batch_invariant(); }
  int64_t kv_bytes() const override { return runner_->kv_bytes(); }
  int64_t weight_bytes() const override { return runner_->weight_bytes(); }
  double overhead_rows() const override { return 1e9; }

 private:
  std::unique_ptr<Runner> runner_;
};

EngineOptions speculative_options() {
  EngineOptions options;
  options.sampling.max_response_length = 60;
  options.sampling.stop_tokens = {3};
  options.sampling.temperature = 0.5;
  options.speculation = Speculation::ngram;
  return options;
}

// Any number of slots and threads, a pool that is too small, every format of the weights and of the
// cache.
TEST(SpeculationOnAModel, ChangesNoBit) {
  using enum NumberFormat;
  const auto model = random_model(windowed_config(), 1, 1.5f);
  const auto jobs = group_jobs(4, 16);
  EngineOptions plain = speculative_options();
  plain.speculation = Speculation::off;
  for (const auto& [weights, kv] : {std::pair{f32, f32}, {int8, int8}, {bf16, bf16}, {int4, f32}}) {
    std::optional<Outcome> expected;
    for (const int threads : {1, 2}) {
      for (const int slots : {1, 7, 64}) {
        if (weights != f32 && (threads == 1 || slots == 1)) continue;  // to save time
        RunnerLimits limits{
            .max_running = slots, .max_sequence = 256, .weights = weights, .kv = kv};
        if (slots == 7) limits.kv_blocks = 25;
        Engine engine(std::make_unique<EagerRunner>(make_cpu_runner(limits, threads)), nullptr,
                      threads);
        ASSERT_TRUE(engine.runner().load_weights(model->view).ok());
        if (!expected) expected = outcome_of(*engine.generate(jobs, plain));
        EXPECT_EQ(*expected, outcome_of(*engine.generate(jobs, speculative_options())))
            << name_of(weights) << ", " << threads << " threads, " << slots << " slots";
        EXPECT_GT(engine.metrics().at("rollout/accepted_tokens"), 0);
        EXPECT_LT(engine.metrics().at("rollout/acceptance_rate"), 1);
        EXPECT_EQ(engine.metrics().at("rollout/preemptions") > 0, slots == 7);
      }
    }
  }
}

}  // namespace
}  // namespace longshot::rollout
