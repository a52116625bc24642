#pragma once
// A normalizer's table of replacements, as SentencePiece compiles it (precompiled_charsmap): a
// double-array trie (Aoe 1989, in the form of the library Darts-clone) whose values are offsets of
// replacements.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longshot::tokenizer {

// Immutable after parse(); thread-safe.
class CharacterMap {
 public:
  // Errors name `where`.
  static Result<CharacterMap> parse(std::string_view bytes, const std::string& where);

  // Replaces characters as the `tokenizers` library does (Precompiled): a grapheme cluster of up to
  // five bytes that begins with an entry of the table is replaced as a whole, otherwise each
  // character is looked up. The text must be valid UTF-8.
  std::string apply(std::string_view text) const;

 private:
  // The replacement for the shortest entry with which the text begins.
  std::optional<std::string_view> find(std::string_view text) const;

  std::vector<uint32_t> trie_;
  std::string replacements_;  // each ends with a zero byte
};

}  // namespace longshot::tokenizer
