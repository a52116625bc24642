#include "reward/rules/ifeval/characters.h"

#include <utf8proc.h>

#include <algorithm>

namespace longshot::reward {
namespace {

enum class Case { none, upper, lower, title };

bool between(char32_t c, char32_t first, char32_t last) {
  return c >= first && c <= last;
}

// Letters of category Lo, So and Nl with a case of their own: ª, º, Roman numerals, circled
// letters (Other_Uppercase and Other_Lowercase of the Unicode standard).
Case case_of(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
      return Case::upper;
    case UTF8PROC_CATEGORY_LL:
      return Case::lower;
    case UTF8PROC_CATEGORY_LT:
      return Case::title;
    default:
      break;
  }
  if (between(c, 0x2160, 0x216F) || between(c, 0x24B6, 0x24CF)) return Case::upper;
  if (c == 0xAA || c == 0xBA || between(c, 0x2170, 0x217F) || between(c, 0x24D0, 0x24E9))
    return Case::lower;
  return Case::none;
}

bool has_only(std::string_view text, Case wanted) {
  bool found = false;
  for (const char32_t c : code_points(text)) {
    const Case is = case_of(c);
    if (is == Case::none) continue;
    if (is != wanted) return false;
    found = true;
  }
  return found;
}

}  // namespace

std::u32string code_points(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t value = 0;
    const auto length =
        utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                         static_cast<utf8proc_ssize_t>(text.size() - at), &value);
    out.push_back(length > 0 ? static_cast<char32_t>(value) : U'\uFFFD');
    at += length > 0 ? static_cast<size_t>(length) : 1;
  }
  return out;
}

std::string utf8(std::u32string_view text) {
  std::string out;
  utf8proc_uint8_t bytes[4];
  for (const char32_t c : text) {
    const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes);
    out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
  }
  return out;
}

bool is_unicode_space(char32_t c) {
  return between(c, 9, 13) || between(c, 28, 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         between(c, 0x2000, 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_unicode_word(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  const bool circled = between(c, 0x24B6, 0x24E9) || between(c, 0x1F130, 0x1F149) ||
                       between(c, 0x1F150, 0x1F169) || between(c, 0x1F170, 0x1F189);
  return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
         category == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D || circled;
}

bool is_unicode_digit(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND;
}

bool is_upper(char32_t c) {
  return case_of(c) == Case::upper;
}

bool is_lower(char32_t c) {
  return case_of(c) == Case::lower;
}

std::string_view strip(std::string_view text) {
  const std::u32string all = code_points(text);
  size_t first = 0, last = all.size();
  while (first < last && is_unicode_space(all[first])) ++first;
  while (last > first && is_unicode_space(all[last - 1])) --last;
  const size_t before = utf8(std::u32string_view(all).substr(0, first)).size();
  const size_t after = utf8(std::u32string_view(all).substr(last)).size();
  return text.substr(before, text.size() - before - after);
}

bool is_blank(std::string_view text) {
  const std::u32string all = code_points(text);
  return std::all_of(all.begin(), all.end(), is_unicode_space);
}

bool is_upper_text(std::string_view text) {
  return has_only(text, Case::upper);
}

bool is_lower_text(std::string_view text) {
  return has_only(text, Case::lower);
}

std::u32string lowered(std::u32string_view text) {
  std::u32string out;
  for (const char32_t c : text) {
    if (c == 0x130) {  // the only letter whose lower case is two characters
      out.append(U"i\u0307");
    } else {
      out.push_back(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    }
  }
  return out;
}

std::string lowered(std::string_view text) {
  return utf8(lowered(std::u32string_view(code_points(text))));
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  for (size_t from = 0;;) {
    const size_t at = text.find(separator, from);
    parts.push_back(text.substr(from, at == std::string_view::npos ? at : at - from));
    if (at == std::string_view::npos) return parts;
    from = at + separator.size();
  }
}

}  // namespace longshot::reward
