#pragma once
// Byte-level BPE as the `tokenizers` library runs it.

#include <memory>
#include <string>

#include "tokenizer/bpe/bpe_model.h"
#include "tokenizer/json_tokenizer.h"
#include "tokenizer/split/pre_tokenizer.h"

namespace longshot::tokenizer {

class ByteLevelTokenizer final : public JsonTokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> from_json(const Json& json, TokenizerFiles files,
                                                      const std::string& where);

 protected:
  void encode_plain(std::string_view text, std::vector<TokenId>& out) const override;
  std::string model_bytes(TokenId id) const override { return model_.token_bytes(id); }
  std::optional<TokenId> model_id(std::string_view content) const override {
    return model_.token_to_id(content);
  }

 private:
  BpeModel model_;
  PreTokenizer pre_tokenizer_;
};

}  // namespace longshot::tokenizer
