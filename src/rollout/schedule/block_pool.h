#pragma once
// Tracks which KV blocks are held, and by how many holders, on integers only: no memory, no model.
// Blocks whose tokens are known can be remembered under the tokens before them (the prefix cache).
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

  // Records that the block contains these kBlockTokens tokens and follows `parent` (-1: it is the
  // first). A block whose parent is not remembered is not remembered either.
  void remember(int block, int parent, std::span<const int32_t> tokens);
  // Returns a remembered block with exactly these tokens after `parent`; -1 if there is none.
  int find(int parent, std::span<const int32_t> tokens) const;
  // Forgets all blocks, because the weights changed and new sequences cannot use the old values.
  void forget_all();

 private:
  using Tokens = std::array<int32_t, kBlockTokens>;
  struct Block {
    int holders = 0;
    uint64_t prefix = 0;         // names all tokens up to the block's end; 0: not remembered
    uint64_t parent_prefix = 0;  // names all tokens before the block; 0: there are none
    uint64_t hash = 0;           // of the tokens up to the block's end
    Tokens tokens{};
    std::list<int>::iterator place;  // in cached_, if remembered and not held
  };
  uint64_t chained_hash(int parent, std::span<const int32_t> tokens) const;
  int find_hashed(uint64_t hash, int parent, std::span<const int32_t> tokens) const;
  void unname(int block);

  std::vector<Block> blocks_;
  std::vector<int> unused_;  // the last one is allocated next
  std::list<int> cached_;    // remembered and not held; released longest ago first
  std::unordered_multimap<uint64_t, int> by_hash_;
  uint64_t prefixes_ = 0;
};

}  // namespace longshot::rollout
