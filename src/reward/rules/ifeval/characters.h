#pragma once
// Text operations with the meaning that Python's str has for them, which is what the published
// checkers are defined by. Texts are UTF-8; invalid bytes become U+FFFD. Pure.

#include <string>
#include <string_view>
#include <vector>

namespace longshot::reward {

std::u32string code_points(std::string_view text);
std::string utf8(std::u32string_view text);

bool is_unicode_space(char32_t c);  // str.isspace
// \w of Python's regex (with which NLTK counts words): letters, marks, digits, connectors.
bool is_unicode_word(char32_t c);
bool is_unicode_digit(char32_t c);  // \d of Python's re: decimal digits
bool is_upper(char32_t c);
bool is_lower(char32_t c);

std::string_view strip(std::string_view text);  // white space at both ends
bool is_blank(std::string_view text);           // nothing but white space
// True if the text has cased characters and all of them are upper case (lower case).
bool is_upper_text(std::string_view text);
bool is_lower_text(std::string_view text);
std::string lowered(std::string_view text);
std::u32string lowered(std::u32string_view text);
std::vector<std::string_view> split(std::string_view text, std::string_view separator);

}  // namespace longshot::reward
