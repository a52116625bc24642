#pragma once
// A small tokenizer for the tests of this folder.

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace longshot::datasets {

using data::TokenId;

// Bytes are tokens, special tokens have ids from 256 on, and "\n\n" is one token, as in real
// vocabularies.
class ByteTokenizer : public tokenizer::Tokenizer {
 public:
  explicit ByteTokenizer(bool bos = false) : bos_(bos) {}

  std::vector<TokenId> encode(std::string_view text, bool parse_special) const override {
    std::vector<TokenId> ids;
    while (!text.empty()) {
      size_t length = 1;
      TokenId id = static_cast<unsigned char>(text.front());
      for (size_t i = 0; i < kMulti.size(); ++i) {
        if (!text.starts_with(kMulti[i]) || (i < kSpecials && !parse_special)) continue;
        length = kMulti[i].size();
        id = static_cast<TokenId>(256 + i);
        break;
      }
      ids.push_back(id);
      text.remove_prefix(length);
    }
    return ids;
  }
  std::string token_bytes(TokenId id) const override {
    return id < 256 ? std::string(1, static_cast<char>(id))
                    : std::string(kMulti[static_cast<size_t>(id - 256)]);
  }
  bool is_special(TokenId id) const override {
    return id >= 256 && id < 256 + static_cast<TokenId>(kSpecials);
  }
  int vocab_size() const override { return static_cast<int>(256 + kMulti.size()); }
  std::optional<TokenId> token_to_id(std::string_view token) const override {
    for (size_t i = 0; i < kMulti.size(); ++i) {
      if (token == kMulti[i]) return static_cast<TokenId>(256 + i);
    }
    return std::nullopt;
  }
  std::optional<TokenId> leading_bos() const override {
    return bos_ ? std::optional<TokenId>(kBos) : std::nullopt;
  }
  Status save(const std::string& directory) const override {
    return invalid_argument("not for tests");
  }

  static constexpr TokenId kEos = 257, kBos = 258;

 private:
  static constexpr std::array<std::string_view, 4> kMulti = {"<|im_start|>", "<|im_end|>",
                                                             "<|begin|>", "\n\n"};
  static constexpr size_t kSpecials = 3;
  bool bos_;
};

}  // namespace longshot::datasets
