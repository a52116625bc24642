#pragma once
// The part of tokenizer.json that all tokenizers read in the same way: added tokens, normalizer,
// BOS, and the files to save.

#include "tokenizer/split/added_tokens.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_files.h"

namespace longshot::tokenizer {

class JsonTokenizer : public Tokenizer {
 public:
  std::vector<TokenId> encode(std::string_view text, bool parse_special) const override;
  std::string token_bytes(TokenId id) const override;
  bool is_special(TokenId id) const override;
  int vocab_size() const override { return vocab_size_; }
  std::optional<TokenId> token_to_id(std::string_view token) const override;
  std::optional<TokenId> leading_bos() const override { return leading_bos_; }
  Status save(const std::string& directory) const override { return files_.write(directory); }

 protected:
  // Encodes normalized text without added tokens. The text is valid UTF-8 and not empty.
  virtual void encode_plain(std::string_view text, std::vector<TokenId>& out) const = 0;
  virtual std::string model_bytes(TokenId id) const = 0;
  virtual std::optional<TokenId> model_id(std::string_view content) const = 0;

  // Reads everything that does not depend on the model. The model, whose ids are [0, model_size),
  // must be read first.
  Status read_common(const Json& json, int model_size, const std::string& where);

  const AddedToken* added(TokenId id) const { return added_.find(id); }  // null: of the model

  TokenizerFiles files_;
  Normalizer normalizer_;

 private:
  Status read_added_tokens(const Json& json, int model_size, const std::string& where);
  Status read_post_processor(const Json& json, const std::string& where, int depth);

  AddedVocabulary added_;
  int vocab_size_ = 0;
  std::optional<TokenId> leading_bos_;
};

}  // namespace longshot::tokenizer
