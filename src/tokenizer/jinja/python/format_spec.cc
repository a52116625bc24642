#include "tokenizer/jinja/python/format_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tokenizer/jinja/python/characters.h"
#include "tokenizer/jinja/python/numbers.h"

namespace longshot::tokenizer::jinja {
namespace {

constexpr int kMaxWidth = 1'000'000;

bool is_align(std::string_view c) {
  return c == "<" || c == ">" || c == "^" || c == "=";
}

int read_size(std::string_view& text) {
  int size = -1;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    size = std::max(size, 0) * 10 + (text[0] - '0');
    if (size > kMaxWidth) fail("Too many decimal digits in format string");
    text.remove_prefix(1);
  }
  return size;
}

bool take(std::string_view& text, std::string_view choices, char* out) {
  if (text.empty() || choices.find(text[0]) == std::string_view::npos) return false;
  *out = text[0];
  text.remove_prefix(1);
  return true;
}

std::string repeated(const std::string& fill, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += fill;
  return out;
}

// Pads `sign` and `body` to the width.
std::string pad(const std::string& sign, std::string_view body, const FormatSpec& spec,
                char default_align) {
  const size_t length = sign.size() + character_count(body);
  const size_t width = spec.width < 0 ? 0 : static_cast<size_t>(spec.width);
  const size_t missing = width > length ? width - length : 0;
  const char align = spec.align != 0 ? spec.align : default_align;
  const std::string whole = sign + std::string(body);
  if (align == '=') return sign + repeated(spec.fill, missing) + std::string(body);
  if (align == '<') return whole + repeated(spec.fill, missing);
  if (align == '>') return repeated(spec.fill, missing) + whole;
  return repeated(spec.fill, missing / 2) + whole + repeated(spec.fill, missing - missing / 2);
}

std::string sign_text(bool negative, const FormatSpec& spec) {
  return negative ? "-" : spec.sign == 0 ? "" : std::string(1, spec.sign);
}

// Inserts `mark` between groups of digits before the point.
std::string grouped(const std::string& digits, char mark, size_t group) {
  const size_t whole = std::min(digits.find_first_of(".e"), digits.size());
  std::string out;
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % group == 0) out += mark;
    out += digits[i];
  }
  return out + digits.substr(whole);
}

std::string pad_number(const std::string& sign, std::string body, const FormatSpec& spec,
                       size_t group) {
  const bool zeros = spec.zero && (spec.align == 0 || spec.align == '=' || spec.align == '>');
  if (zeros && spec.grouping != 0) {
    const size_t width = spec.width < 0 ? 0 : static_cast<size_t>(spec.width);
    while (sign.size() + grouped(body, spec.grouping, group).size() < width) body.insert(0, "0");
  }
  if (spec.grouping != 0) body = grouped(body, spec.grouping, group);
  FormatSpec padded = spec;
  if (zeros) {
    padded.align = '=';
    padded.fill = "0";
  }
  return pad(sign, body, padded, '>');
}

std::string digits_of(Int value, int base, bool capitals) {
  std::string out;
  do {
    const int digit = static_cast<int>(value % base);
    out += static_cast<char>(digit < 10 ? '0' + digit : (capitals ? 'A' : 'a') + digit - 10);
    value /= base;
  } while (value > 0);
  std::reverse(out.begin(), out.end());
  return out;
}

std::string real_digits(double value, const FormatSpec& spec) {
  const int precision = std::min(spec.precision < 0 ? 6 : spec.precision, kMaxWidth);
  switch (spec.type) {
    case 'e':
      return fmt::format("{:.{}e}", value, precision);
    case 'E':
      return fmt::format("{:.{}E}", value, precision);
    case 'f':
    case 'F':
      return fmt::format("{:.{}f}", value, precision);
    case '%':
      return fmt::format("{:.{}f}", value * 100, precision) + "%";
    case 'g':
    case 'n':
      return fmt::format("{:.{}g}", value, std::max(precision, 1));
    case 'G':
      return fmt::format("{:.{}G}", value, std::max(precision, 1));
    case 0: {
      if (spec.precision < 0) return real_text(value);
      std::string text = fmt::format("{:.{}g}", value, std::max(precision, 1));
      if (text.find_first_of(".e") == std::string::npos) {
        if (text.size() > static_cast<size_t>(std::max(precision - 1, 0)) && precision > 0)
          return fmt::format("{:.{}e}", value, std::max(precision - 1, 0));
        text += ".0";
      }
      return text;
    }
    default:
      fail(fmt::format("Unknown format code '{}' for object of type 'float'", spec.type));
  }
}

}  // namespace

FormatSpec parse_format_spec(std::string_view text) {
  FormatSpec spec;
  const auto parts = characters(text.substr(0, 8));
  if (parts.size() > 1 && is_align(parts[1])) {
    spec.fill = std::string(parts[0]);
    spec.align = parts[1][0];
    text.remove_prefix(parts[0].size() + 1);
  } else if (!parts.empty() && is_align(parts[0])) {
    spec.align = parts[0][0];
    text.remove_prefix(1);
  }
  take(text, "+- ", &spec.sign);
  if (spec.sign == '-') spec.sign = 0;
  char found = 0;
  spec.alternate = take(text, "#", &found);
  const bool filled = spec.fill != " ";
  spec.zero = take(text, "0", &found) && !filled;
  spec.width = read_size(text);
  take(text, ",_", &spec.grouping);
  if (take(text, ".", &found)) {
    spec.precision = read_size(text);
    if (spec.precision < 0) fail("Format specifier missing precision");
  }
  if (text.size() > 1) fail("Invalid format specifier");
  if (!text.empty()) spec.type = text[0];
  return spec;
}

std::string format_text(std::string_view text, const FormatSpec& spec) {
  if (spec.precision >= 0)
    text = text.substr(0, byte_offset(text, static_cast<size_t>(spec.precision)));
  FormatSpec padded = spec;
  if (padded.zero && padded.align == 0) padded.fill = "0";
  return pad("", text, padded, '<');
}

std::string format_integer(Int value, const FormatSpec& spec) {
  const Int size = value < 0 ? -value : value;
  std::string sign = sign_text(value < 0, spec);
  switch (spec.type) {
    case 0:
    case 'd':
    case 'n':
      if (spec.precision >= 0) fail("Precision not allowed in integer format specifier");
      return pad_number(sign, integer_text(size), spec, 3);
    case 'x':
    case 'X':
    case 'o':
    case 'b': {
      const int base = spec.type == 'o' ? 8 : spec.type == 'b' ? 2 : 16;
      if (spec.alternate) sign += std::string("0") + spec.type;
      return pad_number(sign, digits_of(size, base, spec.type == 'X'), spec, 4);
    }
    case 'c': {
      if (value < 0 || value > 0x10FFFF) fail("%c arg not in range(0x110000)");
      fail("format code 'c' is not supported");
    }
    default:
      return format_real(static_cast<double>(value), spec);
  }
}

std::string format_real(double value, const FormatSpec& spec) {
  const bool negative = std::signbit(value) && !std::isnan(value);
  FormatSpec finite = spec;
  if (!std::isfinite(value)) {
    finite.grouping = 0;
    std::string body = std::isnan(value) ? "nan" : "inf";
    if (spec.type == 'F' || spec.type == 'E' || spec.type == 'G') body = upper(body);
    if (spec.type == '%') body += '%';
    return pad_number(sign_text(negative, spec), body, finite, 3);
  }
  return pad_number(sign_text(negative, spec), real_digits(std::fabs(value), spec), spec, 3);
}

std::string format_value(const Value& value, const std::string& spec, Budget& budget) {
  if (spec.empty()) return str(value, budget);
  FormatSpec parsed = parse_format_spec(spec);
  if (value.is(Type::string)) {
    if (parsed.type != 0 && parsed.type != 's')
      fail(fmt::format("Unknown format code '{}' for object of type 'str'", parsed.type));
    if (parsed.sign != 0) fail("Sign not allowed in string format specifier");
    if (parsed.align == '=') fail("'=' alignment not allowed in string format specifier");
    return format_text(value.text(), parsed);
  }
  if (value.is(Type::real)) return format_real(value.as_double(), parsed);
  if (value.is_number()) return format_integer(value.as_int(), parsed);
  fail("unsupported format string passed to " + type_name(value) + ".__format__");
}

}  // namespace longshot::tokenizer::jinja
