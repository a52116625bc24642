#include "train/preference/pair_passes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "model/sequence_logprobs.h"
#include "train/preference/pair_testing.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

model::ComputeOptions options(model::KernelChoice kernels) {
  model::ComputeOptions o;
  o.kernels = kernels;
  return o;
}

// The sum over the response of one sequence that is computed alone.
double alone(model::Compute& compute, const PairSide& side) {
  const auto logprobs =
      model::sequence_logprobs(compute, {{side.tokens.begin(), side.tokens.end()}}, 1.0)[0];
  double sum = 0;
  for (size_t t = 1; t < side.tokens.size(); ++t)
    if (side.mask[t]) sum += logprobs[t - 1];
  return sum;
}

TEST(PairPasses, TheSumsAreThoseOfEachSequenceAlone) {
  const TestPairs data(17);
  for (const auto kernels : all_of<model::KernelChoice>()) {
    model::Weights weights = tiny_weights();
    const auto compute = model::make_compute(weights, options(kernels));
    PassTotals totals;
    const auto sums = pair_logprobs(*compute, data.pairs, 40, totals);
    ASSERT_EQ(sums.size(), data.pairs.size());
    for (size_t i = 0; i < sums.size(); ++i) {
      EXPECT_NEAR(sums[i].chosen, alone(*compute, data.pairs[i].chosen), 2e-5) << i;
      EXPECT_NEAR(sums[i].rejected, alone(*compute, data.pairs[i].rejected), 2e-5) << i;
    }
  }
}

TEST(PairPasses, BothResponsesOfAPairAreInOnePass) {
  const TestPairs data(30);
  const model::PassSize size{.tokens = 40, .share_prompts = true};
  std::vector<size_t> seen;
  for (const auto& members : pair_packs(data.pairs, size)) {
    const MicroBatch micro = pair_micro_batch(data.pairs, members, size);
    EXPECT_EQ(micro.rows.size(), 2 * members.size());
    EXPECT_TRUE(micro.batch.total() <= size.tokens || members.size() == 1);
    seen.insert(seen.end(), members.begin(), members.end());
  }
  std::ranges::sort(seen);
  std::vector<size_t> all(30);
  std::iota(all.begin(), all.end(), size_t{0});
  EXPECT_EQ(seen, all);
}

TEST(PairPasses, ThePromptOfAPairIsPackedOnce) {
  const TestPairs data(1);
  const PairSequences& pair = data.pairs[0];
  ASSERT_GT(pair.prompt, 2);
  const auto total = [&](bool share) {
    return pair_micro_batch(data.pairs, {0}, {.tokens = 1000, .share_prompts = share})
        .batch.total();
  };
  EXPECT_EQ(total(false), pair.length() - 2);  // the last token of a sequence predicts nothing
  EXPECT_EQ(total(true), pair.length() - 2 - pair.prompt);
}

}  // namespace
}  // namespace longshot::train
