#include "eval/evaluate.h"

#include <gtest/gtest.h>

namespace longshot::eval {
namespace {

data::Verdict verdict(bool correct, const std::string& answer) {
  data::Verdict v;
  v.scored = true;
  v.correct = correct;
  v.score = correct;
  v.answer = answer;
  return v;
}

data::Group group(const std::string& source, std::vector<data::Verdict> verdicts) {
  data::Group g;
  g.prompt.data_source = source;
  g.verdicts = std::move(verdicts);
  for (size_t i = 0; i < g.verdicts.size(); ++i) {
    data::Sample s;
    s.tokens.assign(10 * (i + 1), 1);
    s.finish = i == 0 ? data::FinishReason::length : data::FinishReason::stop;
    g.samples.push_back(s);
  }
  return g;
}

// Closed form by counting subsets: of the C(4,2) = 6 pairs of 4 samples with 1 right, 3 contain it.
TEST(PassAtK, CountsSubsets) {
  EXPECT_DOUBLE_EQ(pass_at_k(4, 1, 1), 0.25);
  EXPECT_DOUBLE_EQ(pass_at_k(4, 1, 2), 0.5);
  EXPECT_DOUBLE_EQ(pass_at_k(4, 2, 2), 5.0 / 6);
  EXPECT_DOUBLE_EQ(pass_at_k(4, 0, 4), 0.0);
  EXPECT_DOUBLE_EQ(pass_at_k(4, 3, 2), 1.0);
}

// Newcombe 1998, table I: 81 of 263 has the 95 % Wilson interval 0.2553 to 0.3662.
TEST(WilsonInterval, MatchesAPublishedCase) {
  const auto [low, high] = wilson_interval(81, 263);
  EXPECT_NEAR(low, 0.2553, 5e-5);
  EXPECT_NEAR(high, 0.3662, 5e-5);
}

// With one sample per problem it is Wilson's interval. Further samples that always agree add
// nothing; samples that differ as much as independent ones count in full.
TEST(ClusterInterval, IsWilsonsForTheEffectiveSampleSize) {
  std::vector<double> rates(263, 0.0);
  std::fill_n(rates.begin(), 81, 1.0);
  EXPECT_NEAR(cluster_interval(rates, 263).first, 0.2553, 5e-5);
  EXPECT_NEAR(cluster_interval(rates, 263 * 8).first, 0.2553, 2e-4);
  const std::vector<double> halves(8, 0.5);
  EXPECT_EQ(cluster_interval(halves, 32), wilson_interval(16, 32));
}

TEST(ClusterInterval, IsNeverEmpty) {
  for (const double rate : {0.0, 1.0}) {
    const auto [low, high] = cluster_interval(std::vector<double>(8, rate), 32);
    EXPECT_EQ(std::make_pair(low, high), wilson_interval(8 * rate, 8));
    EXPECT_GT(high - low, 0.3);
  }
  EXPECT_EQ(cluster_interval({}, 0), std::make_pair(0.0, 1.0));
  const auto [low, high] = cluster_interval({0.25}, 4);
  EXPECT_TRUE(low < 0.25 && high > 0.25);
}

TEST(Summarize, HandWorkedTable) {
  data::Verdict broken;
  broken.error = "timeout";
  const std::vector<data::Group> groups = {
      group("a",
            {verdict(true, "7"), verdict(false, "8"), verdict(true, "7"), verdict(false, "9")}),
      group("a", {verdict(false, "1"), verdict(false, "1"), verdict(true, "2"), broken}),
      group("b", {broken, broken, broken, broken})};
  const EvalResult r = summarize(groups, {1, 2});
  EXPECT_EQ(r.problems, 2);
  EXPECT_EQ(r.samples, 12);
  EXPECT_EQ(r.errors, 5);
  EXPECT_DOUBLE_EQ(r.accuracy, (0.5 + 1.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(r.majority_vote, 0.5);
  EXPECT_DOUBLE_EQ(r.pass_at_k.at(1), r.accuracy);
  EXPECT_DOUBLE_EQ(r.pass_at_k.at(2), (5.0 / 6 + 2.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(r.mean_response_length, 25);
  EXPECT_DOUBLE_EQ(r.cut_share, 0.25);
  EXPECT_EQ(r.accuracy_by_source.size(), 1u);
  EXPECT_LT(r.low, r.accuracy);
  EXPECT_GT(r.high, r.accuracy);
  EXPECT_EQ(r.frequent_error, "timeout");
}

TEST(ProgressText, NamesTheShareAndTheTokens) {
  rollout::Progress progress;
  progress.finished = 115, progress.total = 256, progress.generated_tokens = 12345;
  EXPECT_EQ(progress_text(progress), "rollout 44% of 256 samples, 12,345 tokens");
  EXPECT_EQ(progress_text({}), "rollout 100% of 0 samples, 0 tokens");
}

TEST(Summarize, NothingJudgedIsNotAnAccuracy) {
  const EvalResult r = summarize({}, {1});
  EXPECT_EQ(r.problems, 0);
  EXPECT_EQ(r.low, 0);
  EXPECT_EQ(r.high, 1);
  const Metrics metrics = to_metrics(r);
  EXPECT_EQ(metrics.at("val/errors"), 0);
  for (const char* name : {"val/accuracy", "val/accuracy_low", "val/accuracy_high",
                           "val/score_mean", "val/response_length", "val/cut_share"})
    EXPECT_FALSE(metrics.contains(name)) << name;
}

}  // namespace
}  // namespace longshot::eval
