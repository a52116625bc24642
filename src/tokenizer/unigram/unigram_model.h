#pragma once
// The unigram language model of one pre-tokenized piece (Kudo 2018, arXiv 1804.10959): the `model`
// of tokenizer.json with type Unigram. A piece is cut into the tokens with the highest sum of
// scores.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "data/types.h"

namespace longshot::tokenizer {

using data::TokenId;

// Immutable after from_json(); thread-safe.
class UnigramModel {
 public:
  UnigramModel() = default;
  UnigramModel(UnigramModel&&) = default;
  UnigramModel& operator=(UnigramModel&&) = default;

  // `json` is the value of the key `model`. Errors name `where` and the key.
  static Result<UnigramModel> from_json(const Json& json, const std::string& where);

  // Appends the ids of one piece, in time O(n * longest token). Characters without a token are the
  // unknown token, one for neighbours, or with byte_fallback the tokens of their bytes.
  void encode(std::string_view piece, std::vector<TokenId>& out) const;

  std::optional<TokenId> token_to_id(std::string_view content) const;
  // The token as it is written; empty for ids outside the vocabulary.
  const std::string& token_bytes(TokenId id) const;
  // The byte for which a token of byte_fallback stands; none for other tokens.
  std::optional<uint8_t> fallback_byte(TokenId id) const;
  int size() const { return static_cast<int>(pieces_.size()); }

 private:
  // The best way to cut the text up to some byte: its score, and its last token.
  struct Path {
    double score = 0;
    size_t begin = 0;   // of the last token
    TokenId last = -1;  // -1: no way is known yet
  };

  Status read_vocabulary(const Json& json, const std::string& where);
  void add_to_trie(const std::string& piece, TokenId id);
  void extend(std::string_view piece, size_t at, std::vector<Path>& paths) const;
  void append_unknown(std::string_view text, std::vector<TokenId>& out) const;

  std::vector<std::string> pieces_;
  std::vector<double> scores_;
  std::unordered_map<std::string_view, TokenId> ids_;  // the keys are in pieces_
  std::unordered_map<uint64_t, uint32_t> edges_;       // node << 8 | byte → node
  std::vector<TokenId> ends_ = {-1};                   // [node] the token that ends here, or -1
  std::array<TokenId, 256> byte_ids_{};                // -1: the byte is not in the vocabulary
  TokenId unknown_ = 0;
  double unknown_score_ = 0;
  bool byte_fallback_ = false;
};

}  // namespace longshot::tokenizer
