// Speculation changes no sample and no log-probability: compares the engine with it to the engine
// without.

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "base/rng.h"
#include "rollout/engine.h"
#include "rollout/fake_runner.h"

namespace longshot::rollout {
namespace {

using data::FinishReason;
using data::Sample;

// Passes with so much overhead that every guess is fed.
constexpr double kAlwaysWorthIt = 1e9;

struct Fixture {
  Fixture(int vocab, RunnerLimits limits, const tokenizer::Tokenizer* tokenizer = nullptr) {
    auto owned = std::make_unique<FakeRunner>(vocab, limits);
    runner = owned.get();
    runner->set_overhead_rows(kAlwaysWorthIt);
    engine = std::make_unique<Engine>(std::move(owned), tokenizer);
  }
  FakeRunner* runner;
  std::unique_ptr<Engine> engine;
};

std::vector<Sample> group_of(int count, std::vector<data::TokenId> prompt) {
  std::vector<Sample> jobs(count);
  for (int i = 0; i < count; ++i) {
    jobs[i].prompt_id = "p";
    jobs[i].index = static_cast<uint32_t>(i);
    jobs[i].seed = 3;
    jobs[i].prompt_tokens = prompt;
  }
  return jobs;
}

EngineOptions speculative(int length) {
  EngineOptions options;
  options.sampling.max_response_length = length;
  options.speculation = Speculation::ngram;
  return options;
}

void expect_same(const std::vector<Sample>& a, const std::vector<Sample>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].tokens, b[i].tokens) << "sample " << i;
    EXPECT_EQ(a[i].logprobs, b[i].logprobs) << "sample " << i;
    EXPECT_EQ(a[i].finish, b[i].finish) << "sample " << i;
    EXPECT_EQ(a[i].text, b[i].text) << "sample " << i;
  }
}

constexpr double kTemperature = 2;  // no response so rare that the test could not count it

// Probabilities of all 3^3 responses, from the runner's logits.
std::map<std::vector<int32_t>, double> exact_distribution(const std::vector<int32_t>& prompt) {
  std::map<std::vector<int32_t>, double> open = {{{}, 1.0}}, next;
  for (int length = 0; length < 3; ++length, open = std::move(next), next.clear()) {
    for (const auto& [response, p] : open) {
      std::vector<int32_t> history = prompt;
      history.insert(history.end(), response.begin(), response.end());
      std::vector<float> logits(3);
      FakeRunner::logits_after(history, logits);
      double total = 0;
      for (const float l : logits) total += std::exp(static_cast<double>(l) / kTemperature);
      for (int32_t t = 0; t < 3; ++t) {
        std::vector<int32_t> longer = response;
        longer.push_back(t);
        next[longer] = p * std::exp(static_cast<double>(logits[t]) / kTemperature) / total;
      }
    }
  }
  return open;
}

// Pearson's test of the drawn responses against the exact distribution; 26 degrees of freedom,
// 0.999 quantile 54.05.
TEST(Speculation, ResponsesFollowTheExactDistribution) {
  const std::vector<int32_t> prompt = {0, 1, 2, 0, 1, 2, 2};
  constexpr int kSamples = 20000;
  Fixture fixture(3, {16, 64});
  EngineOptions options = speculative(3);
  options.sampling.temperature = kTemperature;
  const auto samples = *fixture.engine->generate(group_of(kSamples, prompt), options);
  std::map<std::vector<int32_t>, int> seen;
  for (const Sample& s : samples) ++seen[s.tokens];
  double chi_square = 0, smallest = kSamples;
  for (const auto& [response, p] : exact_distribution(prompt)) {
    const double expected = p * kSamples;
    chi_square += (seen[response] - expected) * (seen[response] - expected) / expected;
    smallest = std::min(smallest, expected);
  }
  EXPECT_EQ(seen.size(), 27u);
  EXPECT_GE(smallest, 5);  // the test's own condition
  EXPECT_LT(chi_square, 54.05);
  EXPECT_GT(fixture.engine->metrics().at("rollout/accepted_tokens"), kSamples / 4.0);
  EXPECT_LT(fixture.engine->metrics().at("rollout/acceptance_rate"), 0.9);
  printf("chi-square %.1f, 26 degrees of freedom; %.0f %% of the guesses right\n", chi_square,
         100 * fixture.engine->metrics().at("rollout/acceptance_rate"));
}

TEST(Speculation, ChangesNoSampleInAnyBatch) {
  auto jobs = group_of(20, {1, 2, 3, 1, 2, 3, 1});
  for (Sample& other : group_of(20, {2, 2, 1})) jobs.push_back(other), jobs.back().prompt_id = "q";
  EngineOptions options = speculative(90);
  options.sampling.temperature = 0.4;
  options.sampling.stop_tokens = {3};
  for (const int slots : {1, 7, 64}) {
    Fixture fixture(5, {slots, 128});
    options.speculation = Speculation::off;
    const auto plain = *fixture.engine->generate(jobs, options);
    EXPECT_EQ(fixture.engine->metrics().at("rollout/draft_tokens"), 0);
    EXPECT_FALSE(fixture.engine->metrics().contains("rollout/acceptance_rate"));
    EXPECT_EQ(fixture.engine->metrics().at("rollout/tokens_per_forward"), 1);
    options.speculation = Speculation::ngram;
    expect_same(plain, *fixture.engine->generate(jobs, options));
    EXPECT_GT(fixture.engine->metrics().at("rollout/accepted_tokens"), 0);
    EXPECT_GT(fixture.engine->metrics().at("rollout/tokens_per_forward"), 1);
  }
}

// 30 blocks for 16 samples of up to 7 blocks each.
TEST(Speculation, ChangesNoSampleUnderPreemption) {
  const auto jobs = group_of(24, std::vector<int32_t>(21, 2));
  EngineOptions options = speculative(80);
  options.sampling.temperature = 0.5;
  options.repetition.enabled = false;
  Fixture tight(4, {.max_running = 16, .max_sequence = 128, .kv_blocks = 30, .max_rows = 40});
  const auto guessed = *tight.engine->generate(jobs, options);
  EXPECT_GT(tight.engine->metrics().at("rollout/preemptions"), 0);
  EXPECT_GT(tight.engine->metrics().at("rollout/accepted_tokens"), 0);
  Fixture roomy(4, {16, 128});
  options.speculation = Speculation::off;
  expect_same(guessed, *roomy.engine->generate(jobs, options));
}

// All guesses are right once the loop is seen, so that it ends within a pass.
TEST(Speculation, LoopsEndAtTheSameToken) {
  Fixture fixture(50, {4, 512});
  fixture.runner->always(5);
  const auto out = *fixture.engine->generate(group_of(1, {1, 2}), speculative(400));
  EXPECT_EQ(out[0].finish, FinishReason::repetition);
  EXPECT_EQ(out[0].tokens.size(), 128u);
  EXPECT_LT(fixture.runner->forwards(), 30);
  EXPECT_GT(fixture.engine->metrics().at("rollout/tokens_per_forward"), 4);
}

TEST(Speculation, TheLongestResponseIsNotExceeded) {
  for (const int length : {1, 2, 3, 17, 60}) {
    Fixture fixture(50, {4, length + 3});  // not one position more than needed
    fixture.runner->always(5);
    const auto out = *fixture.engine->generate(group_of(2, {5, 5, 5}), speculative(length));
    for (const Sample& s : out) {
      EXPECT_EQ(s.finish, FinishReason::length);
      EXPECT_EQ(s.tokens.size(), static_cast<size_t>(length));
    }
  }
}

TEST(Speculation, StopStringsEndAtTheSameToken) {
  const auto tokenizer = *tokenizer::make_character_tokenizer("ab");
  const int vocab = tokenizer->vocab_size();
  EngineOptions options = speculative(60);
  options.sampling.stop_strings = {"abab", "bbb"};
  Fixture fixture(vocab, {8, 128}, tokenizer.get());
  const auto jobs = group_of(40, tokenizer->encode("abaabba"));
  const auto guessed = *fixture.engine->generate(jobs, options);
  EXPECT_GT(fixture.engine->metrics().at("rollout/accepted_tokens"), 0);
  options.speculation = Speculation::off;
  expect_same(guessed, *fixture.engine->generate(jobs, options));
}

TEST(Speculation, ABudgetLeavesTheSameSamplesWithTheSameTokens) {
  const auto jobs = group_of(6, {2, 2, 2, 2});
  EngineOptions options = speculative(40);
  options.token_budget = 57;
  Fixture fixture(3, {4, 128});
  const auto guessed = *fixture.engine->generate(jobs, options);
  size_t tokens = 0;
  for (const Sample& s : guessed) tokens += s.tokens.size();
  EXPECT_EQ(tokens, 57u);
  EXPECT_EQ(fixture.engine->metrics().at("rollout/draft_tokens"), 0);
  options.speculation = Speculation::off;
  expect_same(guessed, *fixture.engine->generate(jobs, options));
}

TEST(Speculation, AnInterruptedSampleGoesOnTheSame) {
  const auto jobs = group_of(9, {2, 1, 2, 1});
  EngineOptions options = speculative(50);
  options.sampling.temperature = 0.4;
  Fixture fixture(4, {4, 128});
  const auto whole = *fixture.engine->generate(jobs, options);
  std::atomic<bool> cancel = false;
  options.cancel = &cancel;
  auto parts = *fixture.engine->generate(
      jobs, options, [&](const Progress& p) { cancel = p.generated_tokens > 100; });
  cancel = false;
  std::vector<size_t> open;
  std::vector<Sample> rest;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].finish != FinishReason::partial) continue;
    open.push_back(i);
    rest.push_back(parts[i]);
  }
  ASSERT_GT(open.size(), 2u);
  rest = *fixture.engine->generate(rest, options);
  for (size_t i = 0; i < open.size(); ++i) parts[open[i]] = rest[i];
  expect_same(whole, parts);
}

TEST(Speculation, TheCallerSeesEveryTokenOnceAndMayEndASampleWithinAPass) {
  Fixture fixture(50, {4, 256});
  fixture.runner->always(5);
  size_t seen = 0;
  EngineOptions options = speculative(100);
  const auto out =
      *fixture.engine->generate(group_of(1, {5, 5, 5, 5}), options, nullptr,
                                [&](size_t, data::TokenId, float) { return ++seen < 23; });
  EXPECT_EQ(out[0].finish, FinishReason::aborted);
  EXPECT_EQ(out[0].tokens.size(), 23u);
  EXPECT_EQ(seen, 23u);
  EXPECT_TRUE(fixture.engine->idle());
}

// With little overhead a batch of noise is not worth a guess, although the guesses are tested all
// the time.
TEST(Speculation, IsOffWhereItDoesNotPay) {
  Fixture fixture(50, {32, 128});
  fixture.runner->set_overhead_rows(2);
  (void)*fixture.engine->generate(group_of(64, {2, 1, 2, 1}), speculative(60));
  EXPECT_LT(fixture.engine->metrics().at("rollout/draft_tokens"),
            0.01 * fixture.engine->metrics().at("rollout/generated_tokens"));
}

}  // namespace
}  // namespace longshot::rollout
