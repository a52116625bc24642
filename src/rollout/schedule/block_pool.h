#pragma once
// Tracks which KV blocks are held, and by how many holders, on integers only: no memory, no model.
// Blocks whose tokens are known can be remembered under the tokens before them and the adapter that
// they were computed with (the prefix cache).
// Remembered blocks without holders are kept until space is needed, and the one released longest
// ago is evicted first. Not thread-safe.

#include <array>
#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

namespace longshot::rollout {

inline constexpr int kBlockTokens = 16;

constexpr int blocks_for(int tokens) {
  return (tokens + kBlockTokens - 1) / kBlockTokens;
}

class BlockPool {
 public:
  explicit BlockPool(int blocks);

  int total() const { return static_cast<int>(blocks_.size()); }
  // Blocks that allocate() can still return: those without holders, including remembered ones.
  int available() const { return static_cast<int>(unused_.size() + cached_.size()); }

  // Returns a block with one holder; -1 if none is available. Evicts a remembered block only if all
  // others are held.
  int allocate();
  void hold(int block);     // one more holder
  void release(int block);  // one less
  void forget(int block);   // no longer remembered; no effect if it was not
  int holders(int block) const { return blocks_[block].holders; }
  bool remembered(int block) const { return blocks_[block].prefix != 0; }

  // The parent of the first block of a sequence, by the id of its adapter (0: none). Sequences of
  // different adapters never share a block, because the same tokens have other keys and values.
  static int64_t root(int64_t adapter) { return -1 - adapter; }
  // Records that the block contains these kBlockTokens tokens and follows `parent`, a block or a
  // root(). A block whose parent is not remembered is not remembered either.
  void remember(int block, int64_t parent, std::span<const int32_t> tokens);
  // Returns a remembered block with exactly these tokens after `parent`; -1 if there is none.
  int find(int64_t parent, std::span<const int32_t> tokens) const;
  // Forgets all blocks, because the weights changed and new sequences cannot use the old values.
  void forget_all();

 private:
  using Tokens = std::array<int32_t, kBlockTokens>;
  struct Block {
    int holders = 0;
    // Names the adapter and all tokens up to the block's end: 1, 2, ...; 0: not remembered.
    uint64_t prefix = 0;
    // Names the adapter and all tokens before the block. If there are none: 0 without an adapter,
    // else 2^64 - the adapter's id.
    uint64_t parent_prefix = 0;
    uint64_t hash = 0;  // of the tokens up to the block's end
    Tokens tokens{};
    std::list<int>::iterator place;  // in cached_, if remembered and not held
  };
  bool known(int64_t parent) const { return parent < 0 || blocks_[parent].prefix != 0; }
  uint64_t prefix_of(int64_t parent) const;
  uint64_t chained_hash(int64_t parent, std::span<const int32_t> tokens) const;
  int find_hashed(uint64_t hash, int64_t parent, std::span<const int32_t> tokens) const;
  void unname(int block);

  std::vector<Block> blocks_;
  std::vector<int> unused_;  // the last one is allocated next
  std::list<int> cached_;    // remembered and not held; released longest ago first
  std::unordered_multimap<uint64_t, int> by_hash_;
  uint64_t prefixes_ = 0;
};

}  // namespace longshot::rollout
