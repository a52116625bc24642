#include "rollout/sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"

namespace longshot::rollout {
namespace {

std::vector<float> random_logits(int n, uint64_t seed, double spread = 2.0) {
  CounterRng rng(seed);
  std::vector<float> out(n);
  for (float& v : out) v = static_cast<float>(rng.next_normal() * spread);
  return out;
}

// The distribution after temperature and filters, slowly and in double: probability by id, 0 where
// filtered.
std::vector<double> reference_distribution(const std::vector<float>& logits,
                                           const SamplingOptions& o) {
  const int n = static_cast<int>(logits.size());
  const float max = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p(n);
  for (int i = 0; i < n; ++i)
    p[i] = std::exp((static_cast<double>(logits[i]) - max) / o.temperature);
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return p[a] > p[b]; });
  size_t keep = o.top_k > 0 ? std::min(o.top_k, n) : n;
  double whole = 0, before = 0;
  for (size_t i = 0; i < keep; ++i) whole += p[order[i]];
  size_t top_p = 0;
  while (top_p < keep && before < o.top_p * whole) before += p[order[top_p++]];
  if (o.top_p < 1) keep = top_p;
  while (keep > 1 && p[order[keep - 1]] < o.min_p * p[order[0]]) --keep;
  double total = 0;
  for (size_t i = 0; i < keep; ++i) total += p[order[i]];
  std::vector<double> out(n, 0.0);
  for (size_t i = 0; i < keep; ++i) out[order[i]] = p[order[i]] / total;
  return out;
}

SamplingOptions options_of(double temperature, int top_k = 0, double top_p = 1, double min_p = 0) {
  SamplingOptions o;
  o.temperature = temperature;
  o.top_k = top_k;
  o.top_p = top_p;
  o.min_p = min_p;
  return o;
}

struct Case {
  const char* name;
  SamplingOptions options;
};
class SamplerCases : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Filters, SamplerCases,
                         ::testing::Values(Case{"plain", options_of(1)},
                                           Case{"cold", options_of(0.3)},
                                           Case{"hot", options_of(2.5)},
                                           Case{"top_k", options_of(1, 5)},
                                           Case{"top_p", options_of(1, 0, 0.7)},
                                           Case{"tiny_top_p", options_of(1, 0, 1e-6)},
                                           Case{"min_p", options_of(1.5, 0, 1, 0.1)},
                                           Case{"all", options_of(0.8, 40, 0.9, 0.02)},
                                           Case{"top_k_of_all", options_of(1, 1000)}),
                         [](const auto& info) { return info.param.name; });

TEST_P(SamplerCases, LogprobIsThatOfTheDistributionDrawnFrom) {
  Sampler sampler;
  double worst = 0;
  for (const int vocab : {1, 3, 256, 700}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const auto logits = random_logits(vocab, seed);
      const auto expected = reference_distribution(logits, GetParam().options);
      const Choice choice = sampler.pick(
          logits, sampling_uniform(1, 2, 3, static_cast<uint32_t>(seed)), GetParam().options);
      ASSERT_GE(choice.token, 0);
      ASSERT_GT(expected[choice.token], 0) << "a filtered token was drawn";
      worst = std::max(worst, std::abs(std::log(expected[choice.token]) - choice.logprob));
    }
  }
  printf("%s: log-probability, largest difference %.3g\n", GetParam().name, worst);
  EXPECT_LT(worst, 2e-6);
}

TEST_P(SamplerCases, TopTokensAreTheMostProbableOfTheDistributionDrawnFrom) {
  SamplingOptions options = GetParam().options;
  options.top_logprobs = 7;
  Sampler sampler;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto logits = random_logits(300, seed);
    const auto p = reference_distribution(logits, options);
    std::vector<int> order(p.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return p[a] > p[b]; });
    const auto kept = std::count_if(p.begin(), p.end(), [](double x) { return x > 0; });
    const auto top = sampler.pick(logits, 0.4, options).top;
    ASSERT_EQ(top.size(), std::min<size_t>(7, kept));
    for (size_t i = 0; i < top.size(); ++i) {
      EXPECT_EQ(top[i].token, order[i]);
      EXPECT_NEAR(top[i].logprob, std::log(p[order[i]]), 1e-5);
    }
  }
}

// Pearson's chi-squared test against the reference distribution, with 20000 draws from a fixed set
// of uniform numbers.
TEST_P(SamplerCases, FrequenciesFollowTheDistribution) {
  const auto logits = random_logits(30, 5, 1.0);
  const auto expected = reference_distribution(logits, GetParam().options);
  Sampler sampler;
  const int draws = 20000;
  std::vector<int> counts(logits.size(), 0);
  for (int i = 0; i < draws; ++i)
    ++counts[sampler.pick(logits, sampling_uniform(9, 8, 7, i), GetParam().options).token];
  double chi = 0;
  int cells = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double mean = expected[i] * draws;
    if (mean < 5) continue;
    chi += (counts[i] - mean) * (counts[i] - mean) / mean;
    ++cells;
  }
  EXPECT_LT(chi, cells + 5 * std::sqrt(2.0 * cells)) << cells << " cells";
}

TEST(Sampler, GreedyTakesTheFirstOfEqualsAndRecordsTemperatureOne) {
  Sampler sampler;
  const std::vector<float> logits = {0, 2, 1, 2};
  const Choice choice = sampler.pick(logits, 0.99, options_of(0));
  EXPECT_EQ(choice.token, 1);
  EXPECT_NEAR(choice.logprob, -std::log(std::exp(-2.0) + 2 + std::exp(-1.0)), 1e-6);
}

TEST(Sampler, EqualTokensAtAnEdgeAreKeptByLowestId) {
  const std::vector<float> equal(5000, 0.5f);
  std::vector<float> two = random_logits(5000, 3);
  two[70] = two[4000] = 50.0f;
  Sampler sampler;
  const double last = std::nextafter(1.0, 0.0);
  const Choice half = sampler.pick(equal, last, options_of(1, 0, 0.5));
  EXPECT_EQ(half.token, 2499);
  EXPECT_NEAR(half.logprob, -std::log(2500.0), 1e-6);
  EXPECT_EQ(sampler.pick(equal, last, options_of(1, 10)).token, 9);
  EXPECT_EQ(sampler.pick(two, 1e-9, options_of(1, 0, 1, 1)).token, 70);
  EXPECT_EQ(sampler.pick(two, last, options_of(1, 0, 1, 1)).token, 4000);
}

TEST(Sampler, ExtremeUniformNumbersStayInTheVocabulary) {
  const auto logits = random_logits(513, 3);
  for (const auto& o : {options_of(1), options_of(1, 7), options_of(1, 0, 0.5)}) {
    Sampler sampler;
    EXPECT_GE(sampler.pick(logits, 0x1.0p-54, o).token, 0);
    EXPECT_LT(sampler.pick(logits, 1 - 0x1.0p-53, o).token, 513);
  }
}

TEST(Sampler, ForbiddenTokensAreNeverDrawn) {
  std::vector<float> logits(300, -std::numeric_limits<float>::infinity());
  logits[299] = -5;
  Sampler sampler;
  for (const double u : {1e-9, 0.5, 1 - 1e-9}) {
    const Choice choice = sampler.pick(logits, u, options_of(1));
    EXPECT_EQ(choice.token, 299);
    EXPECT_EQ(choice.logprob, 0.0f);
  }
}

TEST(Sampler, BrokenLogitsGiveNoToken) {
  Sampler sampler;
  EXPECT_EQ(sampler.pick(std::vector<float>(40, std::nanf("")), 0.5, options_of(1)).token, -1);
  EXPECT_EQ(
      sampler
          .pick(std::vector<float>(40, std::numeric_limits<float>::infinity()), 0.5, options_of(1))
          .token,
      -1);
}

TEST(Sampler, OptionsOutOfRangeAreNamed) {
  EXPECT_NE(check_sampling(options_of(-1)).message().find("temperature"), std::string::npos);
  EXPECT_NE(check_sampling(options_of(1, 0, 0)).message().find("top_p"), std::string::npos);
  EXPECT_NE(check_sampling(options_of(1, -2)).message().find("top_k"), std::string::npos);
  EXPECT_NE(check_sampling(options_of(1, 0, 1, 1.5)).message().find("min_p"), std::string::npos);
  EXPECT_TRUE(check_sampling(options_of(0)).ok());
}

}  // namespace
}  // namespace longshot::rollout
