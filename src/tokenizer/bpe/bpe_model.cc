#include "tokenizer/bpe/bpe_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <queue>

#include "base/os/fs.h"
#include "tokenizer/bpe/byte_alphabet.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {
namespace {

// Below this many symbols a scan for the best pair beats a heap.
constexpr size_t kShortPiece = 32;

}  // namespace

BpeModel::MergeTable::MergeTable(size_t capacity) {
  const size_t slots = std::bit_ceil(std::max<size_t>(2 * capacity, 2));
  keys_.assign(slots, kFree);
  merges_.resize(slots);
  shift_ = 64 - std::countr_zero(slots);
}

size_t BpeModel::MergeTable::slot_of(uint64_t key) const {
  size_t slot = (key * 0x9E3779B97F4A7C15ull) >> shift_;
  while (keys_[slot] != key && keys_[slot] != kFree) slot = (slot + 1) & (keys_.size() - 1);
  return slot;
}

void BpeModel::MergeTable::set(TokenId left, TokenId right, Merge merge) {
  const uint64_t key = static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  const size_t slot = slot_of(key);
  keys_[slot] = key;
  merges_[slot] = merge;
}

BpeModel::Merge BpeModel::MergeTable::find(TokenId left, TokenId right) const {
  return merges_[slot_of(static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right))];
}

size_t BpeModel::BytesHash::operator()(std::string_view bytes) const {
  return checksum(bytes);
}

void BpeModel::encode(std::string_view piece, std::vector<TokenId>& out) const {
  const auto found = by_bytes_.find(piece);
  if (found != by_bytes_.end() && (ignore_merges_ || whole_[found->second])) {
    out.push_back(found->second);
    return;
  }
  std::vector<TokenId> symbols;
  initial_symbols(piece, symbols);
  merge_all(symbols);
  out.insert(out.end(), symbols.begin(), symbols.end());
}

void BpeModel::initial_characters(std::string_view piece, std::vector<TokenId>& symbols) const {
  symbols.clear();
  bool fusing = false;
  for (size_t at = 0; at < piece.size();) {
    const std::string_view character =
        piece.substr(at, static_cast<size_t>(code_point_at(piece, at).length));
    at += character.size();
    const auto found = by_bytes_.find(character);
    if (found != by_bytes_.end()) {
      symbols.push_back(found->second);
    } else if (byte_fallback_) {
      for (const char c : character) symbols.push_back(byte_ids_[static_cast<uint8_t>(c)]);
    } else if (unknown_ && !(fusing && fuse_unknown_)) {
      symbols.push_back(*unknown_);
    }
    fusing = found == by_bytes_.end();
  }
}

// A byte that is not in the vocabulary becomes the unknown token, or is dropped if there is none.
void BpeModel::initial_symbols(std::string_view piece, std::vector<TokenId>& symbols) const {
  if (alphabet_ == BpeAlphabet::characters) return initial_characters(piece, symbols);
  symbols.clear();
  symbols.reserve(piece.size());
  bool fusing = false;
  for (const char c : piece) {
    const TokenId id = byte_ids_[static_cast<uint8_t>(c)];
    if (id >= 0) {
      symbols.push_back(id);
    } else if (unknown_ && !(fusing && fuse_unknown_)) {
      symbols.push_back(*unknown_);
    }
    fusing = id < 0;
  }
}

void BpeModel::merge_all(std::vector<TokenId>& symbols) const {
  if (symbols.size() < 2) return;
  if (symbols.size() <= kShortPiece) {
    merge_short(symbols);
  } else {
    merge_long(symbols);
  }
}

// Repeatedly merges the leftmost pair of the lowest rank.
void BpeModel::merge_short(std::vector<TokenId>& symbols) const {
  Merge pair[kShortPiece];  // [i] = merge of symbols i and i + 1
  size_t count = symbols.size();
  for (size_t i = 0; i + 1 < count; ++i) pair[i] = merges_.find(symbols[i], symbols[i + 1]);
  while (count > 1) {
    size_t best = count;
    for (size_t i = 0; i + 1 < count; ++i) {
      if (pair[i].rank >= 0 && (best == count || pair[i].rank < pair[best].rank)) best = i;
    }
    if (best == count) break;
    symbols[best] = pair[best].id;
    std::copy(symbols.begin() + best + 2, symbols.begin() + count, symbols.begin() + best + 1);
    if (best + 2 < count) std::copy(pair + best + 2, pair + count - 1, pair + best + 1);
    --count;
    if (best > 0) pair[best - 1] = merges_.find(symbols[best - 1], symbols[best]);
    if (best + 1 < count) pair[best] = merges_.find(symbols[best], symbols[best + 1]);
  }
  symbols.resize(count);
}

// Makes the same merges in the same order, with a heap over a doubly linked list.
void BpeModel::merge_long(std::vector<TokenId>& symbols) const {
  struct Candidate {
    int32_t rank;
    uint32_t at;
    TokenId left, right;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  const uint32_t count = static_cast<uint32_t>(symbols.size());
  std::vector<uint32_t> previous(count), next(count);  // `count` means the end, on both sides
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;
  const auto push = [&](uint32_t at) {
    if (at == count || next[at] == count) return;
    const Merge merge = merges_.find(symbols[at], symbols[next[at]]);
    if (merge.rank >= 0) heap.push({merge.rank, at, symbols[at], symbols[next[at]]});
  };
  for (uint32_t i = 0; i < count; ++i) {
    previous[i] = i == 0 ? count : i - 1;
    next[i] = i + 1;
  }
  for (uint32_t i = 0; i + 1 < count; ++i) push(i);
  while (!heap.empty()) {
    const Candidate top = heap.top();
    heap.pop();
    const uint32_t right = symbols[top.at] == top.left ? next[top.at] : count;
    if (right == count || symbols[right] != top.right) continue;  // one side has been merged since
    symbols[top.at] = merges_.find(top.left, top.right).id;
    symbols[right] = -1;
    next[top.at] = next[right];
    if (next[right] != count) previous[next[right]] = top.at;
    push(previous[top.at]);
    push(top.at);
  }
  std::erase(symbols, -1);
}

std::optional<TokenId> BpeModel::token_to_id(std::string_view content) const {
  if (const auto odd = by_content_.find(std::string(content)); odd != by_content_.end())
    return odd->second;
  const bool written = alphabet_ == BpeAlphabet::characters;
  const std::optional<std::string> bytes =
      written ? std::string(content) : from_byte_alphabet(content);
  if (!bytes) return std::nullopt;
  const auto found = by_bytes_.find(*bytes);
  if (found == by_bytes_.end()) return std::nullopt;
  return found->second;
}

std::optional<uint8_t> BpeModel::fallback_byte(TokenId id) const {
  if (!byte_fallback_) return std::nullopt;
  const auto found = std::find(byte_ids_.begin(), byte_ids_.end(), id);
  if (found == byte_ids_.end()) return std::nullopt;
  return static_cast<uint8_t>(found - byte_ids_.begin());
}

const std::string& BpeModel::token_bytes(TokenId id) const {
  static const std::string empty;
  return id >= 0 && id < size() ? bytes_[id] : empty;
}

}  // namespace longshot::tokenizer
