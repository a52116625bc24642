#include "kernels/rows/adamw_rounded.h"

#include "kernels/testing.h"

namespace longshot::kernels {
namespace {

class MomentsKernels : public Kernels {};
INSTANTIATE_TEST_SUITE_P(EveryTarget, MomentsKernels, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

constexpr int kSeeds = 4000;

// Mean of the rounded values over many keys.
std::vector<double> mean_of_packings(const std::vector<float>& values, bool signed_values) {
  const int n = static_cast<int>(values.size());
  std::vector<double> mean(values.size());
  std::vector<uint8_t> codes(values.size());
  std::vector<float> out(values.size());
  for (uint32_t key = 0; key < kSeeds; ++key) {
    const float scale =
        pack_block(values.data(), n, signed_values, key * 2654435761U, 0, codes.data());
    unpack_block(codes.data(), scale, n, signed_values, out.data());
    for (size_t i = 0; i < values.size(); ++i) mean[i] += static_cast<double>(out[i]) / kSeeds;
  }
  return mean;
}

TEST_P(MomentsKernels, EightBitsAreAtMostOneCodeAwayAndRightOnAverage) {
  for (const bool signed_values : {true, false}) {
    std::vector<float> values = random_floats(kMomentBlock, 5);
    for (int i = 0; i < kMomentBlock; ++i) {
      values[i] *= std::pow(10.0F, -static_cast<float>(i % 5));
      if (!signed_values) values[i] *= values[i];
    }
    values[7] = 0;
    std::vector<uint8_t> codes(kMomentBlock);
    std::vector<float> out(kMomentBlock);
    const float scale = pack_block(values.data(), kMomentBlock, signed_values, 9, 0, codes.data());
    unpack_block(codes.data(), scale, kMomentBlock, signed_values, out.data());
    float largest = 0;
    for (const float v : values) largest = std::max(largest, std::abs(v));
    // An eighth of the value's power of two, and near 0 that of the smallest code.
    const float least = largest * (signed_values ? 0x1p-15F : 0x1p-31F);
    const std::vector<double> mean = mean_of_packings(values, signed_values);
    double worst = 0;
    for (int i = 0; i < kMomentBlock; ++i) {
      const float step = (std::abs(values[i]) + least) / 8;
      EXPECT_LE(std::abs(out[i] - values[i]), 1.01F * step) << values[i];
      worst = std::max(worst, std::abs(mean[i] - values[i]) / step);
      EXPECT_EQ(out[i] < 0, values[i] < 0 && out[i] != 0);
    }
    EXPECT_EQ(out[7], 0);
    report(signed_values ? "8 bits, signed, mean" : "8 bits, unsigned, mean", worst);
    EXPECT_LT(worst, 5 * 0.5 / std::sqrt(kSeeds)) << "a share of the step";
  }
}

TEST_P(MomentsKernels, ABlockOfZerosStaysZero) {
  const std::vector<float> zeros(100);
  std::vector<uint8_t> codes(100, 17);
  std::vector<float> out(100, 1.0F);
  const float scale = pack_block(zeros.data(), 100, false, 1, 0, codes.data());
  unpack_block(codes.data(), scale, 100, false, out.data());
  EXPECT_EQ(out, zeros);
}

struct Trained {
  std::vector<float> weight;
  std::vector<uint16_t> m16, v16;
  std::vector<uint8_t> m8, v8;
};

AdamWStep step_number(int t) {
  return {.lr = 1e-2F,
          .beta1 = 0.9F,
          .beta2 = 0.999F,
          .correction1 = static_cast<float>(1 - std::pow(0.9, t)),
          .root_correction2 = static_cast<float>(std::sqrt(1 - std::pow(0.999, t)))};
}

// 60 steps towards the minimum of sum (w - target)^2 with noisy gradients, in ranges cut at `cut`.
Trained train(int bits, int n, int cut) {
  const auto target = random_floats(n, 1);
  Trained r{random_floats(n, 2), {}, {}, {}, {}};
  const int blocks = (n + kMomentBlock - 1) / kMomentBlock;
  std::vector<float> m(n), v(n), m_scale(blocks), v_scale(blocks);
  r.m16.resize(n), r.v16.resize(n), r.m8.resize(n), r.v8.resize(n);
  for (int t = 1; t <= 60; ++t) {
    std::vector<float> g = random_floats(n, static_cast<uint64_t>(t), 0.1);
    for (int i = 0; i < n; ++i) g[i] += r.weight[i] - target[i];
    const AdamWStep step = step_number(t);
    for (int at = 0; at < n; at += cut) {
      const int count = std::min(cut, n - at), block = at / kMomentBlock;
      if (bits == 32)
        adamw(step, g.data() + at, count, r.weight.data() + at, m.data() + at, v.data() + at);
      if (bits == 16)
        adamw_bf16(step, t, at, g.data() + at, count, r.weight.data() + at, r.m16.data() + at,
                   r.v16.data() + at);
      if (bits == 8)
        adamw_bytes(
            step, t, at, g.data() + at, count, r.weight.data() + at,
            {r.m8.data() + at, r.v8.data() + at, m_scale.data() + block, v_scale.data() + block});
    }
  }
  return r;
}

TEST_P(MomentsKernels, StepsAreCloseToThoseOfF32AndDoNotDependOnTheRanges) {
  const int n = 1000;
  const Trained exact = train(32, n, n);
  const auto start = random_floats(n, 2);
  double moved = 0;
  for (int i = 0; i < n; ++i) moved += std::abs(exact.weight[i] - start[i]) / n;
  for (const int bits : {16, 8}) {
    const Trained whole = train(bits, n, n), parts = train(bits, n, kMomentBlock);
    EXPECT_EQ(whole.weight, parts.weight);
    EXPECT_EQ(whole.m8, parts.m8);
    EXPECT_EQ(whole.v16, parts.v16);
    double difference = 0, bias = 0;
    for (int i = 0; i < n; ++i) {
      const double sign = exact.weight[i] > start[i] ? 1 : -1;
      difference += std::abs(whole.weight[i] - exact.weight[i]) / n / moved;
      bias += sign * (whole.weight[i] - exact.weight[i]) / n / moved;
    }
    printf(
        "%-8s %d-bit moments after 60 steps: weights off by %.4f of the way on average, bias "
        "%.4f\n",
        hwy::TargetName(GetParam()), bits, difference, bias);
    EXPECT_LT(difference, bits == 16 ? 0.01 : 0.05);
    EXPECT_LT(std::abs(bias), bits == 16 ? 0.005 : 0.02);
  }
}

}  // namespace
}  // namespace longshot::kernels
