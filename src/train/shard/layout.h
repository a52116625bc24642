#pragma once
// Which elements of the trained weights each process of a gang owns. Torch-free, immutable.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace longshot::train {

// Elements [begin, end) of one weight.
struct Piece {
  size_t weight = 0;
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

// Elements of a tile: a part of a weight that belongs to one shard, and whose squares are summed
// alone. Depends on the model and on whether steps have lanes, never on the number of shards. Steps
// without lanes cannot be sharded, so the tile is kOptimizerBlock then.
int64_t tile_elements(int64_t parameters, int lanes);

// The weights are laid end to end and cut into shards at the tile that is nearest to an equal
// share. `sizes` are the elements of the weights.
class ShardLayout {
 public:
  ShardLayout(const std::vector<int64_t>& sizes, int shards, int64_t tile);

  int shards() const { return static_cast<int>(pieces_.size()); }
  int64_t tile() const { return tile_; }
  size_t weights() const { return weights_; }
  // In the order of the weights; all but the last piece of a weight end with a whole tile.
  const std::vector<Piece>& pieces(int shard) const { return pieces_[static_cast<size_t>(shard)]; }
  int64_t elements(int shard) const;
  int64_t longest() const;  // elements of the longest shard
  int64_t tiles(int shard) const;
  int64_t most_tiles() const;  // of one shard

 private:
  void add(int shard, const Piece& tile);

  int64_t tile_;
  size_t weights_;
  std::vector<std::vector<Piece>> pieces_;  // [shards]
};

int64_t tiles_of(const Piece& piece, int64_t tile);

}  // namespace longshot::train
