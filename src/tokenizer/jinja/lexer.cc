#include "tokenizer/jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "tokenizer/jinja/python/characters.h"
#include "tokenizer/jinja/python/numbers.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer::jinja {
namespace {

std::string normalize_newlines(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

bool is_digit_character(char c) {
  return c >= '0' && c <= '9';
}

// The end of (\d+_)*\d+ that starts at `at`; `at` itself if there is no digit.
size_t digits_end(std::string_view text, size_t at) {
  while (at < text.size() && is_digit_character(text[at])) {
    ++at;
    if (at + 1 < text.size() && text[at] == '_' && is_digit_character(text[at + 1])) ++at;
  }
  return at;
}

// The end of a float that starts at `at`; `at` itself if there is none.
size_t real_end(std::string_view text, size_t at) {
  if (at > 0 && text[at - 1] == '.') return at;
  const size_t whole = digits_end(text, at);
  if (whole == at) return at;
  size_t end = whole;
  if (end < text.size() && text[end] == '.') {
    const size_t fraction = digits_end(text, end + 1);
    end = fraction == end + 1 ? whole : fraction;
  }
  if (end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    size_t exponent = end + 1;
    if (exponent < text.size() && (text[exponent] == '+' || text[exponent] == '-')) ++exponent;
    const size_t exponent_end = digits_end(text, exponent);
    if (exponent_end > exponent) return exponent_end;
  }
  return end == whole ? at : end;
}

size_t integer_end(std::string_view text, size_t at) {
  if (text[at] != '0') return digits_end(text, at);
  const char letter =
      at + 1 < text.size()
          ? static_cast<char>(std::tolower(static_cast<unsigned char>(text[at + 1])))
          : ' ';
  const std::string_view digits = letter == 'x'   ? "0123456789abcdefABCDEF"
                                  : letter == 'o' ? "01234567"
                                  : letter == 'b' ? "01"
                                                  : "";
  const auto one_of = [&](size_t i, std::string_view set) {
    return i < text.size() && set.find(text[i]) != std::string_view::npos;
  };
  size_t end = at + 2;
  if (!digits.empty() && (one_of(end, digits) || (one_of(end, "_") && one_of(end + 1, digits)))) {
    while (one_of(end, digits) || (one_of(end, "_") && one_of(end + 1, digits))) ++end;
    return end;
  }
  end = at + 1;
  while (one_of(end, "0") || (one_of(end, "_") && one_of(end + 1, "0"))) ++end;
  return end;
}

// The value of the `count` hexadecimal digits at `at`.
char32_t hex_digits(std::string_view text, size_t at, size_t count) {
  char32_t value = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (i >= text.size() || std::isxdigit(static_cast<unsigned char>(text[i])) == 0)
      fail("a truncated escape in a string literal");
    const char c = text[i];
    value =
        value * 16 + static_cast<char32_t>(is_digit_character(c) ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  if (value > 0x10FFFF) fail("an escape beyond Unicode in a string literal");
  if (value >= 0xD800 && value < 0xE000)
    fail("an escape in a string literal is half of a character (a surrogate)");
  return value;
}

char simple_escape(char c) {
  constexpr std::string_view kNames = "\\'\"abfnrtv";
  constexpr std::string_view kValues = "\\'\"\a\b\f\n\r\t\v";
  const size_t at = kNames.find(c);
  return at == std::string_view::npos ? '\0' : kValues[at];
}

}  // namespace

std::string unescape(std::string_view literal) {
  std::string out;
  for (size_t i = 0; i < literal.size();) {
    if (literal[i] != '\\' || i + 1 == literal.size()) {
      out += literal[i++];
      continue;
    }
    const char c = literal[i + 1];
    i += 2;
    if (c == '\n') continue;
    if (simple_escape(c) != '\0') {
      out += simple_escape(c);
    } else if (c >= '0' && c <= '7') {
      char32_t value = static_cast<char32_t>(c - '0');
      for (int n = 0; n < 2 && i < literal.size() && literal[i] >= '0' && literal[i] <= '7'; ++n)
        value = value * 8 + static_cast<char32_t>(literal[i++] - '0');
      append_utf8(value, out);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      append_utf8(hex_digits(literal, i, count), out);
      i += count;
    } else if (c == 'N') {
      fail("the escape \\N{...} in a string literal is not supported");
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      // jinja2 first turns the character into an escape. The backslash before it then escapes that
      // escape's backslash, so the escape stays text.
      const CodePoint point = code_point_at(literal, i - 1);
      const auto value = static_cast<uint32_t>(point.value);
      out += value < 0x100     ? fmt::format("\\x{:02x}", value)
             : value < 0x10000 ? fmt::format("\\u{:04x}", value)
                               : fmt::format("\\U{:08x}", value);
      i += static_cast<size_t>(point.length) - 1;
    } else {
      out += '\\';
      out += c;
    }
  }
  return out;
}

Lexer::Lexer(std::string_view source) : source_(normalize_newlines(source)) {}

void Lexer::advance(size_t end) {
  line_ += static_cast<int>(std::count(source_.begin() + static_cast<long>(pos_),
                                       source_.begin() + static_cast<long>(end), '\n'));
  if (end > pos_) line_starting_ = source_[end - 1] == '\n';
  pos_ = end;
}

size_t Lexer::spaces_end(size_t from) const {
  const auto rest = std::string_view(source_).substr(from);
  return source_.size() - strip_left(rest).size();
}

Token Lexer::next() {
  Token token;
  while (!(state_ == State::root ? next_root(token) : next_inside(token))) {
  }
  return token;
}

std::string_view Lexer::trimmed(std::string_view text, char sign, bool variable) const {
  if (sign == '-') return strip_right(text);
  if (sign == '+' || variable) return text;
  const size_t line = text.rfind('\n') + 1;  // 0 without a newline
  const auto last = text.substr(line);
  const bool blank = !last.empty() && strip_left(last).empty();
  return blank && (line > 0 || line_starting_) ? text.substr(0, line) : text;
}

// The end of "{% raw %}" at `at`; 0 if there is none.
size_t Lexer::raw_begin(size_t at, char* sign) const {
  size_t end = at + 2;
  *sign = this->at(end) == '-' || this->at(end) == '+' ? this->at(end) : '\0';
  if (*sign != '\0') ++end;
  end = spaces_end(end);
  if (source_.compare(end, 3, "raw") != 0) return 0;
  end = spaces_end(end + 3);
  if (source_.compare(end, 3, "-%}") == 0) return spaces_end(end + 3);
  return source_.compare(end, 2, "%}") == 0 ? end + 2 : 0;
}

// Reads the text up to the next tag, unless it is empty; otherwise the tag. Returns false if there
// is no token, as after a comment.
bool Lexer::next_root(Token& token) {
  size_t tag = pos_;
  while ((tag = source_.find('{', tag)) != std::string::npos) {
    const char c = at(tag + 1);
    if (c == '{' || c == '%' || c == '#') break;
    ++tag;
  }
  token.line = line_;
  if (tag == std::string::npos) {
    token.type = pos_ < source_.size() ? TokenType::data : TokenType::end;
    token.text = source_.substr(pos_);
    advance(source_.size());
    return true;
  }
  const char kind = source_[tag + 1];
  char sign = at(tag + 2) == '-' || at(tag + 2) == '+' ? at(tag + 2) : '\0';
  const size_t raw = kind == '%' ? raw_begin(tag, &sign) : 0;
  const std::string data(
      trimmed(std::string_view(source_).substr(pos_, tag - pos_), sign, kind == '{'));
  if (!data.empty()) {
    // The next call reads the tag.
    token.type = TokenType::data;
    token.text = data;
    advance(tag);
    // pos_ is at the tag already: the trimmed text must neither be read again nor start a line.
    return true;
  }
  advance(tag);
  if (raw > 0) {
    take_raw(raw, token);
    return !token.text.empty();
  }
  token.line = line_;
  advance(tag + 2 + (sign != '\0' ? 1 : 0));
  if (kind == '#') {
    skip_comment();
    return false;
  }
  state_ = kind == '{' ? State::variable : State::block;
  token.type = kind == '{' ? TokenType::variable_begin : TokenType::block_begin;
  return true;
}

void Lexer::skip_comment() {
  const size_t end = source_.find("#}", pos_);
  if (end == std::string::npos) fail("Missing end of comment tag");
  const char before = end > pos_ ? source_[end - 1] : '\0';
  size_t after = end + 2;
  if (before == '-') {
    after = spaces_end(after);
  } else if (before != '+' && at(after) == '\n') {
    ++after;
  }
  advance(after);
}

// Reads the content of a raw block, which begins at `begin`, as text.
void Lexer::take_raw(size_t begin, Token& token) {
  advance(begin);
  for (size_t tag = source_.find("{%", pos_); tag != std::string::npos;
       tag = source_.find("{%", tag + 1)) {
    size_t end = tag + 2;
    const char sign = at(end) == '-' || at(end) == '+' ? at(end) : '\0';
    end = spaces_end(end + (sign != '\0' ? 1 : 0));
    if (source_.compare(end, 6, "endraw") != 0) continue;
    end = spaces_end(end + 6);
    if (source_.compare(end, 3, "-%}") == 0) {
      end = spaces_end(end + 3);
    } else if (source_.compare(end, 3, "+%}") == 0) {
      end += 3;
    } else if (source_.compare(end, 2, "%}") == 0) {
      end += at(end + 2) == '\n' ? 3 : 2;
    } else {
      continue;
    }
    token.type = TokenType::data;
    token.text = trimmed(std::string_view(source_).substr(pos_, tag - pos_), sign, false);
    advance(end);
    return;
  }
  fail("Missing end of raw directive");
}

bool Lexer::take_end(Token& token) {
  const bool variable = state_ == State::variable;
  const std::string_view close = variable ? "}}" : "%}";
  const char sign = at(pos_) == '-' || (at(pos_) == '+' && !variable) ? at(pos_) : '\0';
  const size_t begin = pos_ + (sign != '\0' ? 1 : 0);
  if (source_.compare(begin, 2, close) != 0) return false;
  size_t end = begin + 2;
  if (sign == '-') {
    end = spaces_end(end);
  } else if (sign == '\0' && !variable && at(end) == '\n') {
    ++end;
  }
  token.type = variable ? TokenType::variable_end : TokenType::block_end;
  state_ = State::root;
  advance(end);
  return true;
}

bool Lexer::next_inside(Token& token) {
  token.line = line_;
  if (brackets_.empty() && take_end(token)) return true;
  const size_t spaces = spaces_end(pos_);
  if (spaces > pos_) {
    advance(spaces);
    return false;
  }
  if (pos_ >= source_.size()) {
    token.type = TokenType::end;
    return true;
  }
  const char c = source_[pos_];
  if (is_digit_character(c) && take_number(token)) return true;
  if (take_name(token)) return true;
  if (c == '\'' || c == '"') {
    take_string(token);
  } else {
    take_operator(token);
  }
  return true;
}

bool Lexer::take_number(Token& token) {
  const size_t real = real_end(source_, pos_);
  const size_t end = real > pos_ ? real : integer_end(source_, pos_);
  std::string digits = source_.substr(pos_, end - pos_);
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  token.type = TokenType::number;
  if (real > pos_) {
    token.value = Value::real(parse_real(digits).value_or(0));
  } else {
    token.value = Value::integer(parse_integer(digits, 0).value_or(0));
  }
  advance(end);
  return true;
}

bool Lexer::take_name(Token& token) {
  size_t end = pos_;
  while (end < source_.size()) {
    const auto c = static_cast<unsigned char>(source_[end]);
    if (c < 0x80 && std::isalnum(c) == 0 && c != '_') break;
    if (c >= 0x80 && !is_word_character(code_point_at(source_, end).value)) break;
    end += c < 0x80 ? 1 : static_cast<size_t>(code_point_at(source_, end).length);
  }
  if (end == pos_) return false;
  token.type = TokenType::name;
  token.text = source_.substr(pos_, end - pos_);
  if (!is_identifier(token.text)) fail("Invalid character in identifier");
  advance(end);
  return true;
}

void Lexer::take_string(Token& token) {
  const char quote = source_[pos_];
  size_t end = pos_ + 1;
  while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
  if (end >= source_.size()) fail("a string literal without its closing quote");
  token.type = TokenType::string;
  token.text = unescape(std::string_view(source_).substr(pos_ + 1, end - pos_ - 1));
  advance(end + 1);
}

void Lexer::take_operator(Token& token) {
  const std::string_view rest = std::string_view(source_).substr(pos_);
  std::string_view found;
  for (const std::string_view op : {"//", "**", "==", "!=", ">=", "<="})
    if (rest.starts_with(op)) found = op;
  constexpr std::string_view kSingle = "+-/*%~[](){}><=.:|,;";
  if (found.empty() && kSingle.find(rest[0]) != std::string_view::npos) found = rest.substr(0, 1);
  if (found.empty()) {
    const CodePoint c = code_point_at(source_, pos_);
    fail(fmt::format("unexpected character '{}'", rest.substr(0, static_cast<size_t>(c.length))));
  }
  const char c = found[0];
  if (c == '(' || c == '[' || c == '{') brackets_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
  if (c == ')' || c == ']' || c == '}') {
    if (brackets_.empty()) fail(fmt::format("unexpected '{}'", c));
    if (brackets_.back() != c)
      fail(fmt::format("unexpected '{}', expected '{}'", c, brackets_.back()));
    brackets_.pop_back();
  }
  token.type = TokenType::op;
  token.text = std::string(found);
  advance(pos_ + found.size());
}

}  // namespace longshot::tokenizer::jinja
