#include "tokenizer/bpe/byte_alphabet.h"

#include <array>

#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer {
namespace {

// 188 bytes represent themselves, 68 are mapped to U+0100 and following
constexpr int kAlphabetEnd = 256 + 68;

struct Alphabet {
  std::array<char32_t, 256> character;
  std::array<int, kAlphabetEnd> byte;  // -1: not in the alphabet
};

Alphabet make_alphabet() {
  Alphabet alphabet;
  alphabet.byte.fill(-1);
  char32_t next = 256;
  for (int b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    alphabet.character[b] = printable ? static_cast<char32_t>(b) : next++;
    alphabet.byte[alphabet.character[b]] = b;
  }
  return alphabet;
}

const Alphabet& alphabet() {
  static const Alphabet instance = make_alphabet();
  return instance;
}

}  // namespace

std::string to_byte_alphabet(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) append_utf8(alphabet().character[static_cast<uint8_t>(c)], out);
  return out;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const CodePoint point = code_point_at(text, i);
    if (point.value >= kAlphabetEnd || alphabet().byte[point.value] < 0) return std::nullopt;
    out += static_cast<char>(alphabet().byte[point.value]);
    i += point.length;
  }
  return out;
}

}  // namespace longshot::tokenizer
