#pragma once
// Unicode as in Python's str: positions count code points, and white space is defined by
// str.isspace. Texts must be valid UTF-8. Pure functions.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longshot::tokenizer::jinja {

bool is_ascii(std::string_view text);
size_t character_count(std::string_view text);
// The byte offset of character `index`; text.size() if it is beyond the end.
size_t byte_offset(std::string_view text, size_t index);
std::vector<std::string_view> characters(std::string_view text);

bool is_space(char32_t c);      // str.isspace
bool is_printable(char32_t c);  // str.isprintable
bool is_alphabetic(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_cased_upper(char32_t c);
bool is_cased_lower(char32_t c);
bool is_title_case(char32_t c);
bool is_identifier(std::string_view text);

// Full case mappings ("ß" becomes "SS", a final sigma is ς).
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string title_character(char32_t c);
std::string casefold(std::string_view text);

std::string_view strip_left(std::string_view text);
std::string_view strip_right(std::string_view text);
inline std::string_view strip(std::string_view text) {
  return strip_left(strip_right(text));
}
// Removes the characters of `set` from the ends.
std::string_view strip_set(std::string_view text, std::string_view set, bool left, bool right);
// The byte offset of `part` in `text` at or after byte `from`; npos if it is not there. Linear
// time.
size_t find_text(std::string_view text, std::string_view part, size_t from = 0);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

}  // namespace longshot::tokenizer::jinja
