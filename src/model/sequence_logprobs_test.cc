#include "model/sequence_logprobs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "model/testing.h"

namespace longshot::model {
namespace {

using Logprobs = std::vector<std::vector<float>>;

double largest_difference(const Logprobs& a, const Logprobs& b) {
  double worst = 0;
  for (size_t s = 0; s < a.size(); ++s) {
    EXPECT_EQ(a[s].size(), b[s].size());
    for (size_t t = 0; t < a[s].size(); ++t)
      worst = std::max(worst, std::fabs(double{a[s][t]} - b[s][t]));
  }
  return worst;
}

TEST(SequenceLogprobs, BatchesAndImplementationsDifferByRoundingOnly) {
  Weights weights = tiny_weights("qwen3");
  const std::vector<std::vector<int32_t>> sequences = {random_tokens(30, 1), random_tokens(2, 2),
                                                       random_tokens(140, 3), random_tokens(9, 4)};
  const auto ours = make_compute(weights, {}),
             theirs = make_compute(weights, {.kernels = KernelChoice::libtorch});
  const Logprobs together = sequence_logprobs(*ours, sequences, 0.7);
  EXPECT_EQ(sequence_logprobs(*ours, sequences, 0.7, 1), together);  // the same bits
  for (const int64_t batch_tokens : {0, 40, 1}) {
    const double d =
        largest_difference(sequence_logprobs(*theirs, sequences, 0.7, batch_tokens), together);
    std::printf("libtorch, batches of %ld tokens: %.1e\n", static_cast<long>(batch_tokens), d);
    EXPECT_LT(d, 1e-5);
  }
}

TEST(SequenceLogprobs, ShortSequencesHaveNone) {
  Weights weights = tiny_weights("llama");
  for (const auto kernels : all_of<KernelChoice>()) {
    const auto compute = make_compute(weights, {.kernels = kernels});
    const Logprobs out = sequence_logprobs(*compute, {{}, {5}, {5, 6}}, 1.0);
    EXPECT_EQ(out[0].size(), 0u);
    EXPECT_EQ(out[1].size(), 0u);
    EXPECT_EQ(out[2].size(), 1u);
    EXPECT_TRUE(sequence_logprobs(*compute, {{}, {5}}, 1.0)[1].empty());
  }
}

}  // namespace
}  // namespace longshot::model
