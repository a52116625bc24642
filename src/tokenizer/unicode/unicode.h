#pragma once
// UTF-8 and the few Unicode properties that the tokenizers need. All functions are pure and
// thread-safe.

#include <string>
#include <string_view>

namespace longshot::tokenizer {

bool is_valid_utf8(std::string_view bytes);

// Replaces every maximal invalid part by one U+FFFD (the practice that the Unicode standard
// recommends, and that decoders in Rust, Python and browsers follow).
std::string repair_utf8(std::string_view bytes);

// Number of bytes up to the last one that ends a UTF-8 character (or that cannot belong to one).
size_t complete_bytes(std::string_view bytes);

struct CodePoint {
  char32_t value = 0;
  int length = 1;  // bytes
};

// The code point that starts at byte `at`. The text must be valid UTF-8, and `at` a boundary inside
// it.
CodePoint code_point_at(std::string_view text, size_t at);
// The code point that ends before byte `end` > 0.
CodePoint code_point_before(std::string_view text, size_t end);
// Bytes of the grapheme cluster with which the text, which is not empty, begins.
size_t grapheme_length(std::string_view text);
void append_utf8(char32_t value, std::string& out);

bool is_white_space(char32_t value);     // Unicode White_Space
bool is_word_character(char32_t value);  // \w of a Unicode regular expression
char32_t lower_case(char32_t value);     // the simple mapping; itself without one

enum class NormalForm { nfc, nfd, nfkc, nfkd };
// The text must be valid UTF-8.
std::string normalize(std::string_view text, NormalForm form);

}  // namespace longshot::tokenizer
