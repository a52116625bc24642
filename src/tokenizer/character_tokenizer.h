#pragma once
// One token for each code point: a WordLevel model after a split into characters.

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokenizer/json_tokenizer.h"

namespace longshot::tokenizer {

class CharacterTokenizer final : public JsonTokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> from_json(const Json& json, TokenizerFiles files,
                                                      const std::string& where);

 protected:
  void encode_plain(std::string_view text, std::vector<TokenId>& out) const override;
  std::string model_bytes(TokenId id) const override;
  std::optional<TokenId> model_id(std::string_view content) const override;

 private:
  Status read_model(const Json& json, const std::string& where);

  std::vector<std::string> tokens_;  // [ids]
  std::unordered_map<std::string, TokenId> by_text_;
  std::unordered_map<char32_t, TokenId> characters_;
  TokenId unknown_ = 0;
};

}  // namespace longshot::tokenizer
