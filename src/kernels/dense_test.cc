#include "kernels/dense.h"

#include <gtest/gtest.h>

#include "kernels/testing.h"

namespace longshot::kernels {
namespace {

class DenseKernels : public Kernels {};
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

Products products(std::span<const float> x, std::span<const float> w, std::span<const float> dy,
                  int rows, int n, int k, int threads) {
  ThreadPool pool(threads);
  Dense dense(pool);
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
  for (const auto& [rows, n, k] :
       {std::array{1, 1, 1}, {5, 40, 16}, {130, 33, 70}, {1000, 18, 5}, {97, 100, 801}}) {
    const auto x = random_floats(rows * k, 1), w = random_floats(n * k, 2, 1 / std::sqrt(k)),
               dy = random_floats(rows * n, 3, 1 / std::sqrt(rows + n));
    const Products ours = products(x, w, dy, rows, n, k, 1),
                   threaded = products(x, w, dy, rows, n, k, 3);
    EXPECT_EQ(ours.y, threaded.y);
    EXPECT_EQ(ours.dx, threaded.dx);
    EXPECT_EQ(ours.dw, threaded.dw);
    auto y = reference::gemm(x, w, rows, n, k);
    auto dx = reference::gemm(dy, transposed(w, n, k), rows, k, n);
    auto dw = reference::gemm(transposed(dy, rows, n), transposed(x, rows, k), n, k, rows);
    for (float& v : y) v += 1.5f;
    for (float& v : dx) v += 2.0f;
    for (float& v : dw) v += 3.0f;
    const double worst = std::max({largest_difference(ours.y, y), largest_difference(ours.dx, dx),
                                   largest_difference(ours.dw, dw)});
    report("products of a training step", worst);
    EXPECT_LT(worst, 2e-5) << rows << " " << n << " " << k;
  }
}

// Parts side by side with whole panels, side by side without, and with a gap between them.
TEST_P(DenseKernels, PartsAreWhatTheyAreAlone) {
  const int rows = 70, k = 50;
  for (const auto& [n0, gap, n1] : {std::array{32, 0, 20}, {20, 0, 32}, {16, 16, 20}}) {
    const int column = n0 + gap;
    const auto width = static_cast<size_t>(column + n1);
    const auto x = random_floats(rows * k, 1), w0 = random_floats(n0 * k, 2),
               w1 = random_floats(n1 * k, 3), b0 = random_floats(n0, 4), b1 = random_floats(n1, 5),
               dy = random_floats(rows * width, 6);
    const DensePart parts[] = {{w0.data(), 0, n0, b0.data()}, {w1.data(), column, n1, b1.data()}};
    ThreadPool pool(2);
    Dense dense(pool);
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
