// The gradient of a batch does not depend on how it is cut into micro-batches, nor on the number of
// threads.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "base/rng.h"
#include "model/compute.h"
#include "train/pass/micro_batches.h"
#include "train/testing.h"

namespace longshot::train {
namespace {

// 64 samples, 8 per prompt.
struct Samples {
  std::vector<std::vector<data::TokenId>> tokens;
  std::vector<std::vector<uint8_t>> masks;
  std::vector<PassRow> rows;

  Samples() {
    CounterRng rng(7);
    for (int i = 0; i < 64; ++i) {
      CounterRng prompt(static_cast<uint64_t>(i / 8));
      std::vector<data::TokenId> row;
      std::vector<uint8_t> mask;
      for (int t = 0; t < 20; ++t) row.push_back(static_cast<data::TokenId>(prompt.next_below(32)));
      mask.assign(row.size(), 0);
      for (int64_t t = rng.next_int(3, 40); t > 0; --t) {
        row.push_back(static_cast<data::TokenId>(rng.next_below(32)));
        mask.push_back(1);
      }
      tokens.push_back(row);
      masks.push_back(mask);
    }
    for (size_t i = 0; i < tokens.size(); ++i) rows.push_back({tokens[i], masks[i], 20});
  }
};

struct Cut {
  std::vector<at::Tensor> gradients;
  size_t micro_batches = 0;
};

Cut gradients(const Samples& samples, int64_t max_tokens, int threads, bool share,
              NumberFormat dtype) {
  at::set_num_threads(threads);
  model::Weights weights = tiny_weights();
  const auto compute = model::make_compute(weights, {.dtype = dtype});
  Cut cut;
  for (const MicroBatch& micro :
       make_micro_batches(samples.rows, {.tokens = max_tokens, .share_prompts = share})) {
    ++cut.micro_batches;
    compute->logprobs(micro.predictions(1.0), {.for_backward = true});
    std::vector<float> grad;
    for (size_t r = 0; r < micro.rows.size(); ++r) {
      for (size_t t = micro.begins[r]; t < micro.begins[r + 1]; ++t)
        grad.push_back(static_cast<float>(std::sin(static_cast<double>(micro.rows[r] + 1)) / 64));
    }
    compute->backward(grad);
  }
  for (const auto& named : weights.tensors()) cut.gradients.push_back(named.tensor.grad());
  return cut;
}

class EveryProduct : public ::testing::TestWithParam<NumberFormat> {};
INSTANTIATE_TEST_SUITE_P(MicroBatches, EveryProduct,
                         ::testing::Values(NumberFormat::f32, NumberFormat::bf16),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(EveryProduct, OneOfAllIsEightOfAnEighthAndThreadsChangeNoBit) {
  const Samples samples;
  for (const bool share : {true, false}) {
    const Cut whole = gradients(samples, 1 << 20, 1, share, GetParam()),
              eighths = gradients(samples, share ? 8 * 40 : 8 * 50, 1, share, GetParam()),
              threads = gradients(samples, 1 << 20, 2, share, GetParam());
    EXPECT_EQ(whole.micro_batches, 1U);
    EXPECT_GE(eighths.micro_batches, 5U);
    double difference = 0, norm = 0, worst = 0;
    for (size_t i = 0; i < whole.gradients.size(); ++i) {
      EXPECT_TRUE(whole.gradients[i].equal(threads.gradients[i]));
      difference += (whole.gradients[i] - eighths.gradients[i]).square().sum().item<double>();
      norm += whole.gradients[i].square().sum().item<double>();
      worst =
          std::max(worst, (whole.gradients[i] - eighths.gradients[i]).abs().max().item<double>() /
                              whole.gradients[i].abs().max().item<double>());
    }
    const double relative = std::sqrt(difference / norm);
    std::printf(
        "%s, prompts %s: 1 micro-batch against %zu, |difference| / |gradient| %.1e, of one "
        "weight at most %.1e of its largest\n",
        name_of(GetParam()), share ? "shared" : "repeated", eighths.micro_batches, relative, worst);
    EXPECT_LT(relative, 1e-6);
    EXPECT_LT(worst, 5e-6);  // weights whose gradient nearly cancels
  }
  at::set_num_threads(1);
}

}  // namespace
}  // namespace longshot::train
