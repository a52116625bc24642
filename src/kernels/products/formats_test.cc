#include <gtest/gtest.h>

#include "kernels/testing.h"

namespace longshot::kernels {
namespace {

class FormatKernels : public Kernels {};

INSTANTIATE_TEST_SUITE_P(EveryTarget, FormatKernels, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

// The values of W that the packed matrix represents.
std::vector<float> values_of(const PanelMatrix& w) {
  std::vector<float> out;
  for (int c = 0; c < w.n(); ++c) {
    for (int k = 0; k < w.k(); ++k) out.push_back(w.value(c, k));
  }
  return out;
}

// Columns [begin, end) of a [rows, width] matrix.
std::vector<float> columns(const std::vector<float>& matrix, int rows, int width, int begin,
                           int end) {
  std::vector<float> out;
  for (int r = 0; r < rows; ++r)
    out.insert(out.end(), matrix.begin() + r * width + begin, matrix.begin() + r * width + end);
  return out;
}

// x W^T as the sum of f32 products, one block of k after the other.
std::vector<float> product_of_blocks(const std::vector<float>& x, const std::vector<float>& w,
                                     int m, int n, int k, int depth) {
  std::vector<float> y(static_cast<size_t>(m) * n);
  for (int begin = 0; begin < k; begin += depth) {
    const int end = std::min(k, begin + depth);
    const auto part_x = columns(x, m, k, begin, end), part_w = columns(w, n, k, begin, end);
    PanelMatrix packed;
    packed.reset(n, end - begin);
    packed.set_rows(0, n, part_w.data());
    gemm(packed, part_x.data(), end - begin, m, y.data(), n, 0, packed.panels(),
         begin == 0 ? Store::set : Store::add);
  }
  return y;
}

TEST_P(FormatKernels, WeightOnlyFormatsHaveTheBitsOfTheF32GemmOnTheirValues) {
  for (const NumberFormat format : {NumberFormat::bf16, NumberFormat::int4}) {
    for (const auto& [m, n, k] :
         {std::array{1, 32, 64}, {13, 96, 577}, {7, 33, 5}, {64, 67, 320}, {25, 1, 1}}) {
      const auto x = random_floats(m * k, 1), w = random_floats(n * k, 2);
      PanelMatrix packed;
      packed.reset(n, k, format);
      packed.set_rows(0, n, w.data());
      std::vector<float> y(static_cast<size_t>(m) * n);
      gemm(packed, x.data(), k, m, y.data(), n, 0, packed.panels(), Store::set);
      const auto expected = product_of_blocks(x, values_of(packed), m, n, k, depth_of(format));
      ASSERT_EQ(0, std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)))
          << name_of(format) << " " << n << " x " << k;
    }
  }
}

Bf16Rows bf16_rows(const std::vector<float>& x, int m, int k) {
  Bf16Rows rows;
  rows.reset(m, k);
  for (int r = 0; r < m; ++r) rows.set_row(r, x.data() + static_cast<size_t>(r) * k);
  return rows;
}

TEST(Bf16Gemm, IsTheProductOfTheRoundedValues) {
  if (!has_bf16_products()) GTEST_SKIP() << "this processor does not multiply bf16";
  for (const auto& [m, n, k] :
       {std::array{1, 32, 64}, {13, 96, 577}, {7, 33, 5}, {64, 67, 320}, {25, 1, 1}}) {
    const auto x = random_floats(m * k, 1), w = random_floats(n * k, 2), bias = random_floats(n, 3);
    PanelMatrix packed;
    packed.reset(n, k, NumberFormat::bf16);
    packed.set_rows(0, n, w.data());
    packed.set_bias(0, bias);
    const Bf16Rows rows = bf16_rows(x, m, k);
    const int stride = n + 3;
    std::vector<float> y(static_cast<size_t>(m) * stride, 7.0f), expected = y;
    gemm_bf16(packed, rows, m, y.data(), stride, 0, packed.panels(), Store::add);
    const auto products = reference::gemm(rounded_to_bf16(x), rounded_to_bf16(w), m, n, k);
    for (int i = 0; i < m * n; ++i) expected[i / n * stride + i % n] += products[i] + bias[i % n];
    const double difference = largest_difference(y, expected);
    printf("bf16 gemm %d x %d x %d: largest difference %.3g\n", m, n, k, difference);
    EXPECT_LT(difference, 3e-5);
  }
}

TEST(Bf16Gemm, ARowHasTheSameBitsInAnyBatchAndRangeOfPanels) {
  if (!has_bf16_products()) GTEST_SKIP() << "this processor does not multiply bf16";
  const int m = 29, n = 70, k = 130;
  const auto x = random_floats(m * k, 1), w = random_floats(n * k, 2);
  PanelMatrix packed;
  packed.reset(n, k, NumberFormat::bf16);
  packed.set_rows(0, n, w.data());
  std::vector<float> together(m * n), alone(m * n);
  gemm_bf16(packed, bf16_rows(x, m, k), m, together.data(), n, 0, packed.panels(), Store::set);
  for (int r = 0; r < m; ++r) {
    const std::vector<float> row(x.begin() + r * k, x.begin() + (r + 1) * k);
    const Bf16Rows one = bf16_rows(row, 1, k);
    for (int p = 0; p < packed.panels(); ++p)
      gemm_bf16(packed, one, 1, alone.data() + r * n, n, p, p + 1, Store::set);
  }
  EXPECT_EQ(together, alone);
}

// The int8 product of one row and column, in plain integers.
float int8_product(const float* x, const PanelMatrix& w, int column) {
  float largest = 0;
  for (int i = 0; i < w.k(); ++i) largest = std::max(largest, std::abs(x[i]));
  const auto levels = static_cast<float>(int8_levels(w.k()));
  const float inverse = largest > 0 ? levels / largest : 0.0f;
  int64_t sum = 0;
  for (int i = 0; i < w.k(); ++i) {
    const float scale = w.column_scales()[column];
    const auto weight =
        static_cast<int64_t>(scale == 0 ? 0 : std::nearbyint(w.value(column, i) / scale));
    sum += static_cast<int64_t>(std::nearbyint(x[i] * inverse)) * weight;
  }
  return static_cast<float>(sum) * (largest / levels * w.column_scales()[column]);
}

TEST_P(FormatKernels, Int8GemmIsTheExactIntegerProduct) {
  for (const auto& [m, n, k] : {std::array{1, 32, 64},
                                {13, 96, 577},
                                {7, 33, 5},
                                {64, 67, 192},
                                {25, 1, 1},
                                {2, 16, 65535}}) {
    auto x = random_floats(m * k, 1), w = random_floats(n * k, 2);
    std::fill_n(w.begin(), k, 0.0f);  // a column without a scale
    if (k > 10'000) {                 // the largest possible sums
      std::fill(x.begin(), x.end(), 1.0f);
      std::fill(w.begin(), w.end(), 1.0f);
    }
    PanelMatrix packed;
    packed.reset(n, k, NumberFormat::int8);
    packed.set_rows(0, n, w.data());
    QuantizedRows rows;
    rows.reset(m, k);
    for (int r = 0; r < m; ++r) rows.set_row(r, x.data() + r * k);
    const int stride = n + 3;
    std::vector<float> y(static_cast<size_t>(m) * stride, 7.0f);
    gemm_int8(packed, rows, m, y.data(), stride, 0, packed.panels(), Store::set);
    for (int r = 0; r < m; ++r) {
      for (int c = 0; c < n; ++c)
        ASSERT_EQ(y[r * stride + c], int8_product(x.data() + r * k, packed, c)) << r << " " << c;
      for (int gap = n; gap < stride; ++gap) ASSERT_EQ(y[r * stride + gap], 7.0f);
    }
  }
}

TEST_P(FormatKernels, Int8GemmAddsBiasAndResidual) {
  const int m = 5, n = 40, k = 16;
  const auto x = random_floats(m * k, 1), w = random_floats(n * k, 2), bias = random_floats(n, 3);
  PanelMatrix packed;
  packed.reset(n, k, NumberFormat::int8);
  packed.set_rows(0, n, w.data());
  packed.set_bias(0, bias);
  QuantizedRows rows;
  rows.reset(m, k);
  for (int r = 0; r < m; ++r) rows.set_row(r, x.data() + r * k);
  std::vector<float> y(m * n, 7.0f), expected;
  gemm_int8(packed, rows, m, y.data(), n, 0, packed.panels(), Store::add);
  for (int i = 0; i < m * n; ++i)
    expected.push_back(int8_product(x.data() + i / n * k, packed, i % n) + bias[i % n] + 7.0f);
  const double difference = largest_difference(y, expected);
  report("int8 gemm, bias and residual", difference);
  EXPECT_LT(difference, 1e-5);
}

TEST(PanelMatrix, FormatsKeepTheirStep) {
  const int n = 48, k = 200;
  const auto w = random_floats(n * k, 2);
  for (const auto& [format, bound] : {std::pair{NumberFormat::f32, 0.0},
                                      {NumberFormat::bf16, 1.0 / 256},
                                      {NumberFormat::int8, 0.5 / 127},
                                      {NumberFormat::int4, 1.0 / 8 + 1.0 / 256}}) {
    PanelMatrix packed;
    packed.reset(n, k, format);
    packed.set_rows(0, n, w.data());
    double worst = 0;  // relative to the largest magnitude of the column
    for (int c = 0; c < n; ++c) {
      double largest = 0;
      for (int i = 0; i < k; ++i) largest = std::max(largest, std::abs(double{w[c * k + i]}));
      for (int i = 0; i < k; ++i)
        worst = std::max(worst, std::abs(double{w[c * k + i]} - packed.value(c, i)) / largest);
    }
    printf("%-5s largest relative difference of a weight %.3g\n", name_of(format), worst);
    EXPECT_LE(worst, bound * 1.001);
  }
}

}  // namespace
}  // namespace longshot::kernels
