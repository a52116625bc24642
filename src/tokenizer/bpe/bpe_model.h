#pragma once
// Byte-pair encoding of one pre-tokenized piece: the `model` of tokenizer.json with type BPE.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "data/types.h"

namespace longshot::tokenizer {

using data::TokenId;

// Ids above (number of tokens) + this are refused, because a gap costs memory.
constexpr int64_t kMaxIdGap = 1 << 20;

// Reads a vocabulary object {token: id} and returns the tokens by id; unused ids have an empty
// string. Errors name `where` and the token.
Result<std::vector<std::string>> parse_vocabulary(const Json& vocab, const std::string& where);

// The alphabet in which a vocabulary's tokens are written; merging begins with its symbols.
enum class BpeAlphabet {
  bytes,       // the printable characters of byte_alphabet.h, one for each byte
  characters,  // those of the text; with byte_fallback, "<0x0A>" stands for a byte of others
};

// Immutable after from_json(); thread-safe.
class BpeModel {
 public:
  // `json` is the value of the key `model`. Errors name `where` and the key.
  static Result<BpeModel> from_json(const Json& json, BpeAlphabet alphabet,
                                    const std::string& where);

  // Appends the ids of one piece. Long pieces take O(n log n).
  void encode(std::string_view piece, std::vector<TokenId>& out) const;

  std::optional<TokenId> token_to_id(std::string_view content) const;
  // The token's bytes, or with BpeAlphabet::characters the token as it is written. Empty for ids
  // outside the vocabulary.
  const std::string& token_bytes(TokenId id) const;
  // The byte for which a token of byte_fallback stands; none for other tokens.
  std::optional<uint8_t> fallback_byte(TokenId id) const;
  // Highest id + 1.
  int size() const { return static_cast<int>(bytes_.size()); }

 private:
  struct Merge {
    int32_t rank = -1;  // lower merges first; -1: the pair does not merge
    TokenId id = 0;
  };

  // An open-addressing map from a pair of ids to its merge.
  class MergeTable {
   public:
    explicit MergeTable(size_t capacity = 0);
    void set(TokenId left, TokenId right, Merge merge);
    Merge find(TokenId left, TokenId right) const;

   private:
    static constexpr uint64_t kFree = ~uint64_t{0};
    size_t slot_of(uint64_t key) const;
    std::vector<uint64_t> keys_;
    std::vector<Merge> merges_;
    int shift_ = 63;
  };

  struct BytesHash {
    using is_transparent = void;
    size_t operator()(std::string_view bytes) const;
  };

  Status read_options(const Json& json, const std::string& where);
  Status read_vocabulary(const Json& json, const std::string& where);
  Status read_merges(const Json& json, const std::string& where);
  Status add_merge(const std::string& left, const std::string& right, int rank,
                   const std::string& where);
  void find_whole_tokens();

  void read_bytes();
  void read_characters();

  // The initial symbols of a piece: one id for each byte or character.
  void initial_symbols(std::string_view piece, std::vector<TokenId>& symbols) const;
  void initial_characters(std::string_view piece, std::vector<TokenId>& symbols) const;
  void merge_short(std::vector<TokenId>& symbols) const;
  void merge_long(std::vector<TokenId>& symbols) const;
  void merge_all(std::vector<TokenId>& symbols) const;

  std::vector<std::string> bytes_;  // [size()]
  std::unordered_map<std::string, TokenId, BytesHash, std::equal_to<>> by_bytes_;
  // Tokens written with characters outside the byte alphabet. Merging never produces them.
  std::unordered_map<std::string, TokenId> by_content_;
  std::array<TokenId, 256> byte_ids_{};  // -1: the byte is not in the vocabulary
  MergeTable merges_;
  std::vector<bool> whole_;  // [size()] true if encoding the token's bytes gives exactly this token
  BpeAlphabet alphabet_ = BpeAlphabet::bytes;
  std::optional<TokenId> unknown_;
  bool fuse_unknown_ = false;
  bool byte_fallback_ = false;
  bool ignore_merges_ = false;
};

}  // namespace longshot::tokenizer
