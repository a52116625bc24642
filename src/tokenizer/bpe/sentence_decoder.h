#pragma once
// The `decoder` of tokenizer.json for vocabularies in SentencePiece's style, in which "▁" stands
// for a space: Replace, ByteFallback, Fuse and Strip in a Sequence, or Metaspace.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::tokenizer {

// Immutable after from_json(); thread-safe.
class SentenceDecoder {
 public:
  // `json` is the value of the key. Errors name `where` and the unsupported step.
  static Result<SentenceDecoder> from_json(const Json& json, const std::string& where);

  bool byte_fallback() const { return byte_fallback_; }
  // The text of a token, with its spaces as spaces.
  std::string text_of(std::string_view token) const;
  // text_of() for the first token of a text.
  std::string first_text_of(std::string_view token) const;
  // Removes what encode() puts before a text.
  void strip(std::string& text) const;

 private:
  Status add(const Json& json, const std::string& where);
  Status add_replace(const Json& json, const std::string& where);
  Status add_strip(const Json& json, const std::string& where);
  Status add_metaspace(const Json& json, const std::string& where);

  std::vector<std::pair<std::string, std::string>> replacements_;
  bool byte_fallback_ = false;
  bool fused_ = false;         // later steps apply to the whole text
  bool drops_spaces_ = false;  // the first token's spaces are dropped
  std::string stripped_;       // removed from the beginning, up to `strip_count_` times
  int64_t strip_count_ = 0;
};

}  // namespace longshot::tokenizer
