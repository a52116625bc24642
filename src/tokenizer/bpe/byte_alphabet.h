#pragma once
// GPT-2's printable characters for the 256 bytes, with which byte-level vocabularies are written.

#include <optional>
#include <string>
#include <string_view>

namespace longshot::tokenizer {

// Writes bytes as characters of the alphabet, e.g. " a" → "Ġa".
std::string to_byte_alphabet(std::string_view bytes);

// The bytes that `text` represents; none if a character is not in the alphabet. `text` must be
// valid UTF-8.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace longshot::tokenizer
