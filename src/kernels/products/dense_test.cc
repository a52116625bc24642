#include "kernels/products/dense.h"

#include <gtest/gtest.h>

#include "kernels/testing.h"

namespace longshot::kernels {
namespace {

class DenseKernels : public Kernels {};
constexpr NumberFormat kProducts[] = {NumberFormat::f32, NumberFormat::bf16};
INSTANTIATE_TEST_SUITE_P(EveryTarget, DenseKernels, ::testing::ValuesIn(targets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

std::vector<float> transposed(std::span<const float> m, int rows, int columns) {
  std::vector<float> out(m.size());
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) out[c * rows + r] = m[r * columns + c];
  }
  return out;
}

struct Products {
  std::vector<float> y, dx, dw;
};

Products products(NumberFormat format, std::span<const float> x, std::span<const float> w,
                  std::span<const float> dy, int rows, int n, int k, int threads) {
  ThreadPool pool(threads);
  Dense dense(pool, format);
  Products p{std::vector<float>(rows * n, 1.0f), std::vector<float>(rows * k, 2.0f),
             std::vector<float>(n * k, 3.0f)};
  const auto stride = [](int width) { return static_cast<size_t>(width); };
  const std::vector<float> bias(n, 0.5f);
  dense.forward({x.data(), stride(k)}, rows, w.data(), n, k, bias.data(), {p.y.data(), stride(n)},
                Store::add);
  dense.input_gradient({dy.data(), stride(n)}, rows, w.data(), n, k, {p.dx.data(), stride(k)},
                       Store::add);
  dense.weight_gradient({dy.data(), stride(n)}, {x.data(), stride(k)}, rows, n, k, p.dw.data());
  return p;
}

TEST_P(DenseKernels, ProductsMatchTheReferenceAndDoNotDependOnThreads) {
  for (const NumberFormat format : kProducts) {
    for (const auto& [rows, n, k] : {std::array{1, 1, 1},
                                     {5, 40, 16},
                                     {130, 33, 70},
                                     {1601, 18, 5},
                                     {97, 100, 801},
                                     {23, 7, 1540},
                                     {50, 300, 1024}}) {
      auto x = random_floats(rows * k, 1), w = random_floats(n * k, 2, 1 / std::sqrt(k)),
           dy = random_floats(rows * n, 3, 1 / std::sqrt(rows + n));
      const Products ours = products(format, x, w, dy, rows, n, k, 1),
                     threaded = products(format, x, w, dy, rows, n, k, 3);
      EXPECT_EQ(ours.y, threaded.y);
      EXPECT_EQ(ours.dx, threaded.dx);
      EXPECT_EQ(ours.dw, threaded.dw);
      if (format == NumberFormat::bf16) {
        for (auto* operand : {&x, &w, &dy}) *operand = rounded_to_bf16(*operand);
      }
      auto y = reference::gemm(x, w, rows, n, k);
      auto dx = reference::gemm(dy, transposed(w, n, k), rows, k, n);
      auto dw = reference::gemm(transposed(dy, rows, n), transposed(x, rows, k), n, k, rows);
      for (float& v : y) v += 1.5f;
      for (float& v : dx) v += 2.0f;
      for (float& v : dw) v += 3.0f;
      const double worst = std::max({largest_difference(ours.y, y), largest_difference(ours.dx, dx),
                                     largest_difference(ours.dw, dw)});
      report(format == NumberFormat::bf16 ? "bf16 products of a training step"
                                          : "products of a training step",
             worst);
      EXPECT_LT(worst, 2e-5) << rows << " " << n << " " << k;
    }
  }
}

TEST_P(DenseKernels, ARowDoesNotDependOnTheOthers) {
  const int rows = 61, n = 50, k = 33;
  const auto x = random_floats(rows * k, 1), w = random_floats(n * k, 2),
             dy = random_floats(rows * n, 3);
  for (const NumberFormat format : kProducts) {
    const Products together = products(format, x, w, dy, rows, n, k, 2);
    for (int r = 0; r < rows; ++r) {
      const Products alone = products(format, std::span(x).subspan(r * k, k), w,
                                      std::span(dy).subspan(r * n, n), 1, n, k, 2);
      EXPECT_TRUE(std::ranges::equal(alone.y, std::span(together.y).subspan(r * n, n)));
      EXPECT_TRUE(std::ranges::equal(alone.dx, std::span(together.dx).subspan(r * k, k)));
    }
  }
}

// bf16 products have the bits of the chain of sums that the header promises, on any processor.
TEST_P(DenseKernels, Bf16OutputsAreOneChainOfSums) {
  const int rows = 11, n = 19, k = 301;
  const auto x = random_floats(rows * k, 1), w = random_floats(n * k, 2),
             dy = random_floats(rows * n, 3);
  const Products ours = products(NumberFormat::bf16, x, w, dy, rows, n, k, 2);
  const auto rx = rounded_to_bf16(x), rw = rounded_to_bf16(w);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < n; ++c) {
      const auto add = [&](float sum, int i) {
        return i < k ? sum + rx[r * k + i] * rw[c * k + i] : sum;
      };
      float sum = 0;
      for (int i = 0; i < k; i += 2) sum = add(add(sum, i + 1), i);
      ASSERT_EQ(ours.y[r * n + c], 1.0f + sum + 0.5f) << r << " " << c;
    }
  }
}

// Adjacent parts with whole panels, without them, and with an odd width; parts with a gap between
// them.
TEST_P(DenseKernels, PartsAreWhatTheyAreAlone) {
  const int rows = 70, k = 50;
  for (const auto& [n0, gap, n1, format] : {std::tuple{32, 0, 20, NumberFormat::f32},
                                            {20, 0, 32, NumberFormat::f32},
                                            {16, 16, 20, NumberFormat::f32},
                                            {32, 0, 20, NumberFormat::bf16},
                                            {20, 0, 32, NumberFormat::bf16},
                                            {21, 0, 32, NumberFormat::bf16},
                                            {16, 16, 20, NumberFormat::bf16}}) {
    const int column = n0 + gap;
    const auto width = static_cast<size_t>(column + n1);
    const auto x = random_floats(rows * k, 1), w0 = random_floats(n0 * k, 2),
               w1 = random_floats(n1 * k, 3), b0 = random_floats(n0, 4), b1 = random_floats(n1, 5),
               dy = random_floats(rows * width, 6);
    const DensePart parts[] = {{w0.data(), 0, n0, b0.data()}, {w1.data(), column, n1, b1.data()}};
    ThreadPool pool(2);
    Dense dense(pool, format);
    const auto run = [&](std::span<const std::span<const DensePart>> calls) {
      Products p{std::vector<float>(rows * width, 1.0f), std::vector<float>(rows * k, 2.0f),
                 std::vector<float>((n0 + n1) * k, 3.0f)};
      for (const auto& call : calls) {
        std::vector<DenseGradient> gradients;
        for (const DensePart& part : call)
          gradients.push_back({p.dw.data() + (part.column == 0 ? 0 : n0 * k), part.column, part.n});
        dense.forward({x.data(), static_cast<size_t>(k)}, rows, call, k, {p.y.data(), width},
                      Store::set);
        dense.input_gradient({dy.data(), width}, rows, call, k,
                             {p.dx.data(), static_cast<size_t>(k)}, Store::add);
        dense.weight_gradient({dy.data(), width}, {x.data(), static_cast<size_t>(k)}, rows,
                              gradients, k);
      }
      return p;
    };
    const std::span<const DensePart> both(parts), each[] = {both.first(1), both.last(1)};
    const Products together = run({&both, 1}), alone = run(each);
    EXPECT_EQ(together.y, alone.y);
    EXPECT_EQ(together.dw, alone.dw);
    const double difference = largest_difference(together.dx, alone.dx);
    report("gradient through two parts", difference);
    EXPECT_LT(difference, 2e-5);
  }
}

}  // namespace
}  // namespace longshot::kernels
