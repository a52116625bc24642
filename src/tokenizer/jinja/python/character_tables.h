#pragma once
// Properties of characters that utf8proc does not provide, from the Unicode Character Database.

namespace longshot::tokenizer::jinja {

bool is_other_lower(char32_t c);     // lower case, but not of category Ll
bool is_other_upper(char32_t c);     // upper case, but not of category Lu
bool is_other_digit(char32_t c);     // a digit that is not decimal, such as a superscript
bool is_numeric_letter(char32_t c);  // a letter with a numeric value
// The title case of a character with a special one; nullptr for all others.
const char* special_title(char32_t c);

}  // namespace longshot::tokenizer::jinja
