#pragma once
// Text to token ids and back. Implementations are immutable after loading and thread-safe.
// Everything outside this folder exchanges token ids: generated text is never re-encoded.

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

  // The ids of a text, exactly as the `tokenizers` library returns them with
  // add_special_tokens=False. Special tokens in the text are recognised if `parse_special`; no BOS
  // is added.
  virtual std::vector<TokenId> encode(std::string_view text, bool parse_special = true) const = 0;

  // The raw bytes that a token represents (a piece of UTF-8, possibly incomplete); for an added
  // token its text. Empty for ids outside the vocabulary.
  virtual std::string token_bytes(TokenId id) const = 0;
  virtual bool is_special(TokenId id) const = 0;
  virtual int vocab_size() const = 0;  // highest id + 1
  virtual std::optional<TokenId> token_to_id(std::string_view token) const = 0;

  // The BOS that encode() with special tokens would put first (as in Llama 3), if any.
  virtual std::optional<TokenId> leading_bos() const = 0;

  // Writes the tokenizer's files of a Hugging Face model directory.
  virtual Status save(const std::string& directory) const = 0;

  // The concatenated token bytes; invalid UTF-8 becomes U+FFFD.
  std::string decode(std::span<const TokenId> ids, bool skip_special = true) const;

  // The text that decode() of the `tokenizers` library returns. It differs from decode() for
  // vocabularies in which encode() puts a space before a text, which is removed here, and for bytes
  // that are not valid UTF-8.
  virtual std::string decode_text(std::span<const TokenId> ids, bool skip_special = true) const {
    return decode(ids, skip_special);
  }

  // For each token, the number of characters (Unicode code points) of decode(ids) before its text.
  // A token without text begins where the next one does, and so does one that continues a
  // character.
  std::vector<int> text_begins(std::span<const TokenId> ids) const;
};

// Reads tokenizer.json and tokenizer_config.json of a Hugging Face model directory. model.type
// distinguishes byte-level BPE from longshot's character tokenizer.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::string& directory);

// Every Unicode code point of `alphabet` becomes one token, in that order, after the special tokens
// ("<pad>" = 0, "<eos>" = 1, "<unk>" = 2). Characters outside the alphabet are encoded as "<unk>";
// the caller must report them as an error.
Result<std::unique_ptr<Tokenizer>> make_character_tokenizer(std::string_view alphabet);

// The vocabulary of a GGUF file (tokenizer.ggml.* keys), as model/format reads it, or of a
// tokenizer.model.
struct GgufVocabulary {
  std::string model;  // "gpt2" is byte-level BPE, "llama" is SentencePiece's BPE
  // Name of the pre-tokenizer: "llama-bpe", "qwen2", "gpt-2", "smollm", "default", ... Empty means
  // "default", with a warning.
  std::string pre;
  std::vector<std::string> tokens;
  std::vector<int> token_types;     // 1 normal, 3 control, 4 user-defined, ...
  std::vector<std::string> merges;  // of "gpt2"
  // Of "llama": the score of each token, of which a higher one merges first; whether a space is put
  // before texts (none: yes); whether before each text between special tokens, or only the first.
  std::vector<float> scores;
  std::optional<bool> add_space_prefix;
  bool legacy = true;
  std::optional<TokenId> bos, eos, pad, unknown;
  std::optional<bool> add_bos;  // none: llama.cpp's default for the pre-tokenizer
  std::string chat_template;
};
Result<std::unique_ptr<Tokenizer>> make_gguf_tokenizer(const GgufVocabulary& vocabulary);

}  // namespace longshot::tokenizer
