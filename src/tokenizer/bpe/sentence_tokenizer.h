#pragma once
// BPE over characters, or a unigram model, with a fallback to bytes, as the `tokenizers` library
// runs them: the forms in which vocabularies of SentencePiece are written as tokenizer.json (BPE:
// Llama 2, Mistral, Gemma, Phi-3).

#include <memory>
#include <string>
#include <variant>

#include "tokenizer/bpe/bpe_model.h"
#include "tokenizer/bpe/sentence_decoder.h"
#include "tokenizer/json_tokenizer.h"
#include "tokenizer/split/pre_tokenizer.h"
#include "tokenizer/unigram/unigram_model.h"

namespace longshot::tokenizer {

class SentenceTokenizer final : public JsonTokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> from_json(const Json& json, TokenizerFiles files,
                                                      const std::string& where);

  std::string token_bytes(TokenId id) const override;
  std::string decode_text(std::span<const TokenId> ids, bool skip_special) const override;

 protected:
  void encode_plain(std::string_view text, std::vector<TokenId>& out) const override;
  std::string model_bytes(TokenId id) const override;
  std::optional<TokenId> model_id(std::string_view content) const override;

 private:
  // The token as it is written in a normalized text; empty for ids outside the vocabulary.
  std::string written(TokenId id) const;

  Status read_model(const Json& json, const std::string& where);
  std::optional<uint8_t> fallback_byte(TokenId id) const;

  std::variant<BpeModel, UnigramModel> model_;
  PreTokenizer pre_tokenizer_;
  SentenceDecoder decoder_;
};

}  // namespace longshot::tokenizer
