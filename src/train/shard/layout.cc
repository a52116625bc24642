#include "train/shard/layout.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "train/optimizer/block.h"

namespace longshot::train {

// About a thousand tiles a model, so shards differ by a thousandth of it, but never less than the
// block that moments in 8 bits share a scale for.
int64_t tile_elements(int64_t parameters, int lanes) {
  if (lanes == 1) return kOptimizerBlock;
  constexpr int64_t kSmallest = 256;
  const auto wanted = std::bit_ceil(static_cast<uint64_t>(parameters / 1024 + 1));
  return std::clamp(static_cast<int64_t>(wanted), kSmallest, kOptimizerBlock);
}

int64_t tiles_of(const Piece& piece, int64_t tile) {
  return (piece.size() + tile - 1) / tile;
}

ShardLayout::ShardLayout(const std::vector<int64_t>& sizes, int shards, int64_t tile)
    : tile_(tile), weights_(sizes.size()), pieces_(static_cast<size_t>(shards)) {
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  int64_t position = 0;
  for (size_t weight = 0; weight < sizes.size(); ++weight) {
    for (int64_t begin = 0; begin < sizes[weight]; begin += tile) {
      const Piece piece{weight, begin, std::min(begin + tile, sizes[weight])};
      const int64_t middle = position + piece.size() / 2;
      add(static_cast<int>(std::min<int64_t>(middle * shards / total, shards - 1)), piece);
      position += piece.size();
    }
  }
}

void ShardLayout::add(int shard, const Piece& tile) {
  auto& pieces = pieces_[static_cast<size_t>(shard)];
  if (!pieces.empty() && pieces.back().weight == tile.weight) {
    pieces.back().end = tile.end;
  } else {
    pieces.push_back(tile);
  }
}

int64_t ShardLayout::elements(int shard) const {
  int64_t sum = 0;
  for (const Piece& piece : pieces(shard)) sum += piece.size();
  return sum;
}

int64_t ShardLayout::longest() const {
  int64_t longest = 0;
  for (int shard = 0; shard < shards(); ++shard) longest = std::max(longest, elements(shard));
  return longest;
}

int64_t ShardLayout::tiles(int shard) const {
  int64_t sum = 0;
  for (const Piece& piece : pieces(shard)) sum += tiles_of(piece, tile_);
  return sum;
}

int64_t ShardLayout::most_tiles() const {
  int64_t most = 0;
  for (int shard = 0; shard < shards(); ++shard) most = std::max(most, tiles(shard));
  return most;
}

}  // namespace longshot::train
