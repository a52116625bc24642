#include "tokenizer/jinja/python/characters.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tokenizer/jinja/python/character_tables.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer::jinja {
namespace {

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool continues(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

// Unicode's full case folding of one character, e.g. "ss" for "ß".
std::string fold(char32_t c) {
  std::string text;
  append_utf8(c, text);
  utf8proc_uint8_t* folded = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &folded, UTF8PROC_CASEFOLD);
  if (length < 0 || folded == nullptr) return text;
  std::string out(reinterpret_cast<const char*>(folded), static_cast<size_t>(length));
  std::free(folded);
  return out;
}

char32_t simple_upper(char32_t c) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}

char32_t simple_lower(char32_t c) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

// A character that case folding turns into several also has several in upper case, unless it is
// upper case already.
void append_upper(char32_t c, std::string& out) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    return;
  }
  if (category(c) != UTF8PROC_CATEGORY_LU) {
    const std::string folded = fold(c);
    if (character_count(folded) > 1) {
      for (const auto part : characters(folded))
        append_utf8(simple_upper(code_point_at(part, 0).value), out);
      return;
    }
  }
  append_utf8(simple_upper(c), out);
}

bool is_case_ignorable(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME ||
         kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_LM ||
         kind == UTF8PROC_CATEGORY_SK || c == '\'' || c == '.' || c == ':' || c == 0xB7 ||
         c == 0x2019 || c == 0x2018 || c == 0x2024 || c == 0x2027;
}

bool is_cased(char32_t c) {
  return is_cased_upper(c) || is_cased_lower(c) || is_title_case(c);
}

// True if the sigma at `at` ends a word, by Unicode's rule Final_Sigma.
bool is_final_sigma(std::string_view text, size_t at) {
  size_t before = at;
  bool cased_before = false;
  while (before > 0) {
    const CodePoint c = code_point_before(text, before);
    if (!is_case_ignorable(c.value)) {
      cased_before = is_cased(c.value);
      break;
    }
    before -= static_cast<size_t>(c.length);
  }
  if (!cased_before) return false;
  for (size_t after = at + 2; after < text.size();) {
    const CodePoint c = code_point_at(text, after);
    if (!is_case_ignorable(c.value)) return !is_cased(c.value);
    after += static_cast<size_t>(c.length);
  }
  return true;
}

}  // namespace

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

size_t character_count(std::string_view text) {
  return text.size() - static_cast<size_t>(std::count_if(text.begin(), text.end(), continues));
}

size_t byte_offset(std::string_view text, size_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) {
    ++at;
    while (at < text.size() && continues(text[at])) ++at;
  }
  return at;
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = static_cast<size_t>(code_point_at(text, at).length);
    out.push_back(text.substr(at, length));
    at += length;
  }
  return out;
}

bool is_space(char32_t c) {
  if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_printable(char32_t c) {
  if (c < 0x7F) return c >= 0x20;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_alphabetic(char32_t c) {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_ND;
}

bool is_digit(char32_t c) {
  return is_decimal(c) || is_other_digit(c);
}

bool is_numeric(char32_t c) {
  const auto kind = category(c);
  return is_digit(c) || kind == UTF8PROC_CATEGORY_NL || kind == UTF8PROC_CATEGORY_NO ||
         is_numeric_letter(c);
}

bool is_cased_upper(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z';
  return category(c) == UTF8PROC_CATEGORY_LU || is_other_upper(c);
}

bool is_cased_lower(char32_t c) {
  if (c < 0x80) return c >= 'a' && c <= 'z';
  return category(c) == UTF8PROC_CATEGORY_LL || is_other_lower(c);
}

bool is_title_case(char32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LT;
}

bool is_identifier(std::string_view text) {
  if (text.empty()) return false;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    const auto kind = category(c.value);
    const bool start = c.value == '_' || is_alphabetic(c.value) || kind == UTF8PROC_CATEGORY_NL;
    const bool inside = kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_MC ||
                        kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_PC;
    if (!start && (at == 0 || !inside)) return false;
    at += static_cast<size_t>(c.length);
  }
  return true;
}

std::string upper(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    append_upper(c.value, out);
    at += static_cast<size_t>(c.length);
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    if (c.value < 0x80) {
      out += static_cast<char>(c.value >= 'A' && c.value <= 'Z' ? c.value + 32 : c.value);
    } else if (c.value == 0x130) {
      out += "i\xCC\x87";
    } else if (c.value == 0x3A3) {
      append_utf8(is_final_sigma(text, at) ? 0x3C2 : 0x3C3, out);
    } else {
      append_utf8(simple_lower(c.value), out);
    }
    at += static_cast<size_t>(c.length);
  }
  return out;
}

std::string title_character(char32_t c) {
  if (const char* special = special_title(c); special != nullptr) return special;
  std::string out;
  const auto simple = static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c)));
  const auto kind = category(c);
  if (simple == c && c >= 0x80 && kind != UTF8PROC_CATEGORY_LU && kind != UTF8PROC_CATEGORY_LT) {
    const std::string folded = fold(c);
    if (character_count(folded) > 1) {
      const CodePoint first = code_point_at(folded, 0);
      const auto rest = std::string_view(folded).substr(static_cast<size_t>(first.length));
      append_utf8(simple_upper(first.value), out);
      return out + (simple_upper(first.value) == first.value ? upper(rest) : std::string(rest));
    }
  }
  append_utf8(simple, out);
  return out;
}

std::string casefold(std::string_view text) {
  std::string out;
  for (const auto part : characters(text)) out += fold(code_point_at(part, 0).value);
  return out;
}

std::string_view strip_left(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = code_point_at(text, 0);
    if (!is_space(c.value)) break;
    text.remove_prefix(static_cast<size_t>(c.length));
  }
  return text;
}

std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = code_point_before(text, text.size());
    if (!is_space(c.value)) break;
    text.remove_suffix(static_cast<size_t>(c.length));
  }
  return text;
}

std::string_view strip_set(std::string_view text, std::string_view set, bool left, bool right) {
  const auto in_set = [&](const CodePoint& c, size_t at) {
    return set.find(text.substr(at, static_cast<size_t>(c.length))) != std::string_view::npos;
  };
  while (left && !text.empty()) {
    const CodePoint c = code_point_at(text, 0);
    if (!in_set(c, 0)) break;
    text.remove_prefix(static_cast<size_t>(c.length));
  }
  while (right && !text.empty()) {
    const CodePoint c = code_point_before(text, text.size());
    if (!in_set(c, text.size() - static_cast<size_t>(c.length))) break;
    text.remove_suffix(static_cast<size_t>(c.length));
  }
  return text;
}

// The first byte of a mark such as "</think>" is rare in a text, so memchr finds it fastest. If it
// is not rare, memmem takes over.
size_t find_text(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (part.empty()) return from;
  const char* at = text.data() + from;
  const char* const end = text.data() + text.size();
  for (int tries = 0; static_cast<size_t>(end - at) >= part.size(); ++tries) {
    const auto left = static_cast<size_t>(end - at);
    const void* found = tries < 16 ? std::memchr(at, part[0], left - part.size() + 1)
                                   : memmem(at, left, part.data(), part.size());
    if (found == nullptr) break;
    at = static_cast<const char*>(found);
    if (std::memcmp(at, part.data(), part.size()) == 0)
      return static_cast<size_t>(at - text.data());
    ++at;
  }
  return std::string_view::npos;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    size_t next = at + static_cast<size_t>(c.length);
    const bool ends = (c.value >= 10 && c.value <= 13) || (c.value >= 28 && c.value <= 30) ||
                      c.value == 0x85 || c.value == 0x2028 || c.value == 0x2029;
    if (ends) {
      if (c.value == '\r' && next < text.size() && text[next] == '\n') ++next;
      lines.push_back(text.substr(begin, (keep_ends ? next : at) - begin));
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

}  // namespace longshot::tokenizer::jinja
