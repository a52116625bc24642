#pragma once
// Text to token ids and back. Implementations are immutable after loading and thread-safe.
// Token ids in, token ids out everywhere else: generated text is never re-encoded.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "data/types.h"

namespace longshot::tokenizer {

using data::TokenId;

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of the text exactly as the `tokenizers` library gives them with add_special_tokens=False:
  // special tokens written in the text are recognised when `parse_special`; no BOS is added.
  virtual std::vector<TokenId> encode(std::string_view text, bool parse_special = true) const = 0;

  // The raw bytes a token stands for (a piece of UTF-8, perhaps incomplete); a special token's own
  // text. Empty for ids outside the vocabulary.
  virtual std::string token_bytes(TokenId id) const = 0;
  virtual bool is_special(TokenId id) const = 0;
  virtual int vocab_size() const = 0;  // highest id + 1
  virtual std::optional<TokenId> token_to_id(std::string_view token) const = 0;

  // Whether encode() with special tokens would put a BOS first (Llama 3 does), and which.
  virtual std::optional<TokenId> leading_bos() const = 0;

  // Writes the files of a Hugging Face model directory that belong to the tokenizer.
  virtual Status save(const std::string& directory) const = 0;

  // Concatenated token bytes; incomplete UTF-8 becomes U+FFFD.
  std::string decode(std::span<const TokenId> ids, bool skip_special = true) const;
};

// Reads tokenizer.json (byte-level BPE, or longshot's character tokenizer, told apart by
// model.type) plus tokenizer_config.json of a Hugging Face model directory.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::string& directory);

// Every Unicode code point of `alphabet` is one token, in that order, after the special tokens
// ("<pad>" = 0, "<eos>" = 1). Characters outside the alphabet are an error at encode time for the
// caller to report: they become the "<unk>" id 2.
Result<std::unique_ptr<Tokenizer>> make_character_tokenizer(std::string_view alphabet);

// The vocabulary of a GGUF file (tokenizer.ggml.* keys), as model/format reads it.
struct GgufVocabulary {
  std::string model;  // "gpt2" is byte-level BPE, the only one supported
  // Pre-tokenizer name: "llama-bpe", "qwen2", "gpt-2", "smollm", "default", ...; empty: "default", with a warning.
  std::string pre;
  std::vector<std::string> tokens;
  std::vector<int> token_types;  // 1 normal, 3 control, 4 user-defined, ...
  std::vector<std::string> merges;
  std::optional<TokenId> bos, eos, pad, unknown;
  std::optional<bool> add_bos;  // none: as llama.cpp does for the pre-tokenizer
  std::string chat_template;
};
Result<std::unique_ptr<Tokenizer>> make_gguf_tokenizer(const GgufVocabulary& vocabulary);

}  // namespace longshot::tokenizer
