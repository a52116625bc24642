#pragma once
// GPT-2's printable stand-ins for the 256 bytes, in which byte-level vocabularies are written.

#include <optional>
#include <string>
#include <string_view>

namespace longshot::tokenizer {

// Bytes written as characters of the alphabet, e.g. " a" → "Ġa".
std::string to_byte_alphabet(std::string_view bytes);

// The bytes `text` stands for; nothing if some character is not in the alphabet. `text` is valid
// UTF-8.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace longshot::tokenizer
