#include "train/shard/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "train/optimizer/block.h"

namespace longshot::train {
namespace {

TEST(ShardLayout, OneShardHasWholeWeights) {
  const ShardLayout layout({1000, 1, 300}, 1, 256);
  ASSERT_EQ(layout.pieces(0).size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(layout.pieces(0)[i].weight, i);
    EXPECT_EQ(layout.pieces(0)[i].begin, 0);
  }
  EXPECT_EQ(layout.elements(0), 1301);
  EXPECT_EQ(layout.tiles(0), 4 + 1 + 2);
}

// Every element is in one shard, in order, and pieces begin at tiles.
TEST(ShardLayout, EveryElementBelongsToOneShardOfAboutTheSameLength) {
  const std::vector<int64_t> sizes = {40000, 64, 64, 128 * 400, 7, 30000};
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  for (const int shards : {1, 2, 4, 8}) {
    const ShardLayout layout(sizes, shards, 256);
    size_t weight = 0;
    int64_t end = 0, sum = 0;
    for (int shard = 0; shard < shards; ++shard) {
      EXPECT_NEAR(static_cast<double>(layout.elements(shard)), static_cast<double>(total) / shards,
                  256.0);
      EXPECT_LE(layout.elements(shard), layout.longest());
      sum += layout.elements(shard);
      for (const Piece& piece : layout.pieces(shard)) {
        if (end == sizes[weight]) {
          ++weight;
          end = 0;
        }
        EXPECT_EQ(piece.weight, weight);
        EXPECT_EQ(piece.begin, end);
        EXPECT_EQ(piece.begin % 256, 0);
        end = piece.end;
      }
    }
    EXPECT_EQ(sum, total);
  }
}

TEST(ShardLayout, TilesDependOnTheModelAndAreWholeBlocksOfTheMoments) {
  EXPECT_EQ(tile_elements(5000, 1), kOptimizerBlock);
  EXPECT_EQ(tile_elements(5000, 4), 256);
  EXPECT_EQ(tile_elements(1 << 20, 4), 2048);
  EXPECT_EQ(tile_elements(int64_t{1} << 33, 4), kOptimizerBlock);
}

}  // namespace
}  // namespace longshot::train
