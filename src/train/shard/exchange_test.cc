#include "train/shard/exchange.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"
#include "train/shard/testing.h"

namespace longshot::train {
namespace {

using testing::HasSubstr;

const std::vector<int64_t> kSizes = {3000, 7, 1500};

ShardExchange make_exchange(const std::shared_ptr<Gang>& gang) {
  return {{"a", "b", "c"}, ShardLayout(kSizes, gang->size(), 256), gang};
}

std::vector<at::Tensor> undefined() {
  return std::vector<at::Tensor>(kSizes.size());
}

// The same values wherever they are made.
std::vector<at::Tensor> gradients_of(int rank) {
  CounterRng rng(static_cast<uint64_t>(rank));
  std::vector<at::Tensor> tensors;
  for (const int64_t size : kSizes) {
    tensors.push_back(at::zeros({size}));
    float* values = tensors.back().mutable_data_ptr<float>();
    for (int64_t i = 0; i < size; ++i)
      values[i] = static_cast<float>(rng.next_below(1 << 24)) - 1e6F;
  }
  return tensors;
}

// Elements of `piece` that are not the same bits in a and b.
int64_t different(const at::Tensor& a, const at::Tensor& b, const Piece& piece) {
  const auto of_piece = [&](const at::Tensor& t) { return t.narrow(0, piece.begin, piece.size()); };
  return of_piece(a).ne(of_piece(b)).sum().item<int64_t>();
}

TEST(ShardExchange, OwnersGetTheSumOfATree) {
  run_gang(4, [](const std::shared_ptr<Gang>& gang) {
    ShardExchange exchange = make_exchange(gang);
    auto gradients = gradients_of(gang->rank());
    ASSERT_TRUE(exchange.sum_gradients(gradients, gradients).ok());
    for (const Piece& piece : exchange.layout().pieces(gang->rank())) {
      const auto of = [&](int rank) { return gradients_of(rank)[piece.weight]; };
      const at::Tensor sum = of(0).add(of(1)).add(of(2).add(of(3)));
      EXPECT_EQ(different(gradients[piece.weight], sum, piece), 0);
      const at::Tensor in_sequence = of(0).add(of(1)).add(of(2)).add(of(3));
      if (piece.size() > 1000) EXPECT_GT(different(sum, in_sequence, piece), 0);
    }
  });
}

TEST(ShardExchange, AProcessWithoutGradientsContributesNothing) {
  run_gang(2, [](const std::shared_ptr<Gang>& gang) {
    ShardExchange exchange = make_exchange(gang);
    auto gradients = gang->rank() == 1 ? gradients_of(1) : undefined();
    ASSERT_TRUE(exchange.sum_gradients(gradients_of(1), gradients).ok());
    for (const Piece& piece : exchange.layout().pieces(gang->rank()))
      EXPECT_EQ(different(gradients[piece.weight], gradients_of(1)[piece.weight], piece), 0);
  });
}

TEST(ShardExchange, WithoutAnyGradientAllProcessesGetTheError) {
  run_gang(2, [](const std::shared_ptr<Gang>& gang) {
    ShardExchange exchange = make_exchange(gang);
    auto gradients = undefined();
    EXPECT_THAT(exchange.sum_gradients(gradients_of(0), gradients).message(),
                HasSubstr("a has no gradient"));
    gradients = gradients_of(0);
    if (gang->rank() == 1) gradients[1] = at::Tensor();
    EXPECT_THAT(exchange.sum_gradients(gradients_of(0), gradients).message(),
                HasSubstr(gang->rank() == 1 ? "b has no gradient" : "trainer 1 has gradients of"));
  });
}

TEST(ShardExchange, WeightsComeFromTheirOwners) {
  run_gang(4, [](const std::shared_ptr<Gang>& gang) {
    ShardExchange exchange = make_exchange(gang);
    std::vector<at::Tensor> weights;
    for (const int64_t size : kSizes)
      weights.push_back(at::full({size}, static_cast<float>(gang->rank())));
    ASSERT_TRUE(exchange.gather_weights(weights).ok());
    for (int shard = 0; shard < 4; ++shard) {
      for (const Piece& piece : exchange.layout().pieces(shard))
        EXPECT_EQ(different(weights[piece.weight],
                            at::full({kSizes[piece.weight]}, static_cast<float>(shard)), piece),
                  0);
    }
  });
}

TEST(ShardExchange, NormsAreTheSameBitsForAnyNumberOfProcesses) {
  std::vector<double> expected;
  run_gang(1, [&](const std::shared_ptr<Gang>& gang) {
    expected = make_exchange(gang).squared_norms(gradients_of(0)).value();
  });
  EXPECT_GT(expected[0], 0);
  for (const int size : {2, 4, 8}) {
    run_gang(size, [&](const std::shared_ptr<Gang>& gang) {
      EXPECT_EQ(make_exchange(gang).squared_norms(gradients_of(0)).value(), expected);
    });
  }
}

}  // namespace
}  // namespace longshot::train
