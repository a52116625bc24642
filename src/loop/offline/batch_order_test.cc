#include "loop/offline/batch_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace longshot::loop {
namespace {

using testing::ElementsAre;

TEST(BatchOrder, BatchesFillTheBudgetAndNoneSpansTwoEpochs) {
  const std::vector<int64_t> lengths = {5, 3, 9, 4, 4, 12, 1};
  BatchOrder order(lengths, 10, 3);
  for (int epoch = 0; epoch < 4; ++epoch) {
    std::vector<size_t> seen;
    while (seen.size() < lengths.size()) {
      const auto batch = order.next();
      int64_t tokens = 0;
      for (const size_t row : batch) tokens += lengths[row];
      EXPECT_TRUE(tokens <= 10 || batch.size() == 1);
      seen.insert(seen.end(), batch.begin(), batch.end());
    }
    std::sort(seen.begin(), seen.end());
    EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4, 5, 6));
  }
}

// Checkpoints of earlier runs rely on this order.
TEST(BatchOrder, TheOrderNeverChanges) {
  BatchOrder order({1, 1, 1, 1, 1}, 2, 1);
  EXPECT_THAT(order.next(), ElementsAre(0, 2));
  EXPECT_THAT(order.next(), ElementsAre(4, 3));
  EXPECT_THAT(order.next(), ElementsAre(1));
  EXPECT_THAT(order.next(), ElementsAre(0, 1));
}

TEST(StepsOfEpochs, PartsOfAnEpochCountRows) {
  const std::vector<int64_t> ones(10, 1);
  EXPECT_EQ(steps_of_epochs(ones, 2, 1, 1), 5);
  EXPECT_EQ(steps_of_epochs(ones, 2, 1, 2.5), 13);
  EXPECT_EQ(steps_of_epochs(ones, 3, 1, 2), 8);  // 3 + 3 + 3 + 1, twice
  EXPECT_EQ(steps_of_epochs(ones, 100, 1, 0.01), 1);
}

}  // namespace
}  // namespace longshot::loop
