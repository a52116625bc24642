#include "rollout/schedule/block_pool.h"

#include <algorithm>

#include "base/check.h"
#include "base/rng.h"

namespace longshot::rollout {

BlockPool::BlockPool(int blocks) : blocks_(blocks) {
  LS_CHECK(blocks > 0, "no KV block to give");
  for (int b = blocks - 1; b >= 0; --b) unused_.push_back(b);
}

int BlockPool::allocate() {
  if (unused_.empty()) {
    if (cached_.empty()) return -1;
    const int oldest = cached_.front();
    cached_.pop_front();
    unname(oldest);
    unused_.push_back(oldest);
  }
  const int block = unused_.back();
  unused_.pop_back();
  blocks_[block].holders = 1;
  return block;
}

void BlockPool::hold(int block) {
  Block& b = blocks_[block];
  LS_CHECK(b.holders > 0 || b.prefix != 0, "an unused block cannot be held");
  if (b.holders++ == 0) cached_.erase(b.place);
}

void BlockPool::release(int block) {
  Block& b = blocks_[block];
  LS_CHECK(b.holders > 0, "a block without holders is released");
  if (--b.holders > 0) return;
  if (b.prefix == 0) {
    unused_.push_back(block);
  } else {
    b.place = cached_.insert(cached_.end(), block);
  }
}

uint64_t BlockPool::prefix_of(int64_t parent) const {
  return parent < 0 ? static_cast<uint64_t>(parent + 1) : blocks_[parent].prefix;
}

uint64_t BlockPool::chained_hash(int64_t parent, std::span<const int32_t> tokens) const {
  uint64_t hash = parent < 0 ? prefix_of(parent) : blocks_[parent].hash;
  for (const int32_t token : tokens) hash = hash_combine(hash, static_cast<uint64_t>(token));
  return hash;
}

int BlockPool::find_hashed(uint64_t hash, int64_t parent, std::span<const int32_t> tokens) const {
  const uint64_t parent_prefix = prefix_of(parent);
  const auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const Block& b = blocks_[it->second];
    if (b.parent_prefix == parent_prefix && std::ranges::equal(b.tokens, tokens)) return it->second;
  }
  return -1;
}

int BlockPool::find(int64_t parent, std::span<const int32_t> tokens) const {
  LS_CHECK(tokens.size() == kBlockTokens, "only full blocks are remembered");
  if (!known(parent)) return -1;
  return find_hashed(chained_hash(parent, tokens), parent, tokens);
}

void BlockPool::remember(int block, int64_t parent, std::span<const int32_t> tokens) {
  LS_CHECK(tokens.size() == kBlockTokens, "only full blocks are remembered");
  Block& b = blocks_[block];
  LS_CHECK(b.holders > 0 && b.prefix == 0, "a block is remembered once, by its holder");
  if (!known(parent)) return;
  b.hash = chained_hash(parent, tokens);
  const int same = find_hashed(b.hash, parent, tokens);
  b.prefix = same >= 0 ? blocks_[same].prefix : ++prefixes_;  // same tokens, same name
  b.parent_prefix = prefix_of(parent);
  std::ranges::copy(tokens, b.tokens.begin());
  by_hash_.emplace(b.hash, block);
}

void BlockPool::forget(int block) {
  Block& b = blocks_[block];
  if (b.prefix == 0) return;
  unname(block);
  if (b.holders > 0) return;
  cached_.erase(b.place);
  unused_.push_back(block);
}

void BlockPool::unname(int block) {
  const auto [begin, end] = by_hash_.equal_range(blocks_[block].hash);
  by_hash_.erase(
      std::find_if(begin, end, [&](const auto& entry) { return entry.second == block; }));
  blocks_[block].prefix = 0;
}

void BlockPool::forget_all() {
  for (const int block : cached_) unused_.push_back(block);
  cached_.clear();
  by_hash_.clear();
  for (Block& b : blocks_) b.prefix = 0;
}

}  // namespace longshot::rollout
