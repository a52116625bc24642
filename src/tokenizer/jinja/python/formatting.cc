#include "tokenizer/jinja/python/formatting.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "tokenizer/jinja/python/access.h"
#include "tokenizer/jinja/python/characters.h"
#include "tokenizer/jinja/python/format_spec.h"
#include "tokenizer/jinja/python/numbers.h"

namespace longshot::tokenizer::jinja {
namespace {

// One conversion of a format, such as "%(name)-05.2f".
struct Conversion {
  FormatSpec spec;
  std::string name;
  bool named = false;
  bool width_from_values = false, precision_from_values = false;
  char type = 0;
};

class PercentFormatter {
 public:
  PercentFormatter(const std::string& format, bool markup, const Value& values, Budget& budget)
      : format_(format), markup_(markup), values_(values), budget_(budget) {}

  std::string run() {
    std::string out;
    while (at_ < format_.size()) {
      const char c = format_[at_++];
      if (c != '%') {
        out += c;
        continue;
      }
      if (peek() == '%') {
        ++at_;
        out += '%';
        continue;
      }
      out += convert(read_conversion());
      budget_.charge(1);
      if (out.size() > (size_t{16} << 20)) fail("a formatted text is too large");
    }
    const bool subscripted =
        values_.is(Type::dict) || values_.is(Type::list) || values_.is(Type::undefined);
    const bool all =
        values_.is(Type::tuple) ? next_ >= values_.items().size() : next_ > 0 || subscripted;
    if (!all && !named_) fail("not all arguments converted during string formatting");
    return out;
  }

 private:
  char peek() const { return at_ < format_.size() ? format_[at_] : '\0'; }

  int read_number(bool* from_values) {
    if (peek() == '*') {
      ++at_;
      *from_values = true;
      return -1;
    }
    int number = -1;
    while (peek() >= '0' && peek() <= '9') {
      number = std::max(number, 0) * 10 + (format_[at_++] - '0');
      if (number > 1'000'000) fail("width too big");
    }
    return number;
  }

  Conversion read_conversion() {
    Conversion c;
    if (peek() == '(') {
      const size_t close = format_.find(')', at_);
      if (close == std::string::npos) fail("incomplete format key");
      c.name = format_.substr(at_ + 1, close - at_ - 1);
      c.named = named_ = true;
      at_ = close + 1;
    }
    c.spec.align = '>';
    for (; std::string_view("-+ #0").find(peek()) != std::string_view::npos && peek(); ++at_) {
      if (peek() == '-') c.spec.align = '<';
      if (peek() == '+' || (peek() == ' ' && c.spec.sign != '+')) c.spec.sign = peek();
      if (peek() == '#') c.spec.alternate = true;
      if (peek() == '0') c.spec.zero = true;
    }
    c.spec.width = read_number(&c.width_from_values);
    if (peek() == '.') {
      ++at_;
      c.spec.precision = std::max(0, read_number(&c.precision_from_values));
    }
    while (peek() == 'l' || peek() == 'h' || peek() == 'L') ++at_;
    if (at_ >= format_.size()) fail("incomplete format");
    c.type = format_[at_++];
    return c;
  }

  Value next_value() {
    if (!values_.is(Type::tuple)) {
      if (next_++ > 0) fail("not enough arguments for format string");
      return values_;
    }
    if (next_ >= values_.items().size()) fail("not enough arguments for format string");
    return values_.items()[next_++];
  }

  int next_size() {
    const Value value = next_value();
    if (!value.is(Type::integer)) fail("* wants int");
    return static_cast<int>(std::clamp<Int>(value.as_int(), -1'000'000, 1'000'000));
  }

  std::string convert(Conversion c) {
    if (c.width_from_values) {
      c.spec.width = next_size();
      if (c.spec.width < 0) {
        c.spec.align = '<';
        c.spec.width = -c.spec.width;
      }
    }
    if (c.precision_from_values) c.spec.precision = std::max(0, next_size());
    if (!c.named) return format_one(c, next_value());
    if (!values_.is(Type::dict)) fail("format requires a mapping");
    const Value* found = values_.dict().find(std::string_view(c.name));
    if (found == nullptr) fail("no key '" + c.name + "' for the format");
    return format_one(c, *found);
  }

  std::string format_one(Conversion& c, const Value& value) {
    switch (c.type) {
      case 's':
      case 'r':
      case 'a': {
        std::string text = c.type == 's' ? str(value, budget_) : repr(value, budget_);
        if (markup_ && !value.markup()) text = escape_html(text);
        c.spec.type = 's';
        c.spec.zero = false;
        return format_text(text, c.spec);
      }
      case 'c':
        if (value.is(Type::string) && character_count(value.text()) == 1)
          return format_text(value.text(), c.spec);
        fail("%c requires int or char");
      case 'd':
      case 'i':
      case 'u':
        if (!value.is_number())
          fail("%d format: a real number is required, not " + type_name(value));
        c.spec.type = 'd';
        return format_percent_integer(
            value.is(Type::real) ? truncate(value.as_double()) : value.as_int(), c.spec);
      case 'x':
      case 'X':
      case 'o':
        if (!value.is_number() || value.is(Type::real))
          fail("%x format: an integer is required, not " + type_name(value));
        c.spec.type = c.type;
        return format_percent_integer(value.as_int(), c.spec);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        if (!value.is_number()) fail("must be real number, not " + type_name(value));
        c.spec.type = c.type;
        return format_real(value.as_double(), c.spec);
      default:
        fail(fmt::format("unsupported format character '{}'", c.type));
    }
  }

  // For integers the precision is the least number of digits.
  static std::string format_percent_integer(Int value, FormatSpec spec) {
    if (spec.precision > 0) {
      const auto digits = integer_text(value < 0 ? -value : value).size();
      if (digits < static_cast<size_t>(spec.precision)) fail("a precision of %d is not supported");
    }
    spec.precision = -1;
    return format_integer(value, spec);
  }

  const std::string& format_;
  const bool markup_;
  const Value& values_;
  Budget& budget_;
  size_t at_ = 0, next_ = 0;
  bool named_ = false;
};

class BraceFormatter {
 public:
  BraceFormatter(const Values& positional, const std::vector<std::pair<std::string, Value>>& named,
                 bool markup, Budget& budget)
      : positional_(positional), named_(named), markup_(markup), budget_(budget) {}

  std::string run(std::string_view format, int depth = 2) {
    if (depth < 0) fail("Max string recursion exceeded");
    std::string out;
    for (size_t at = 0; at < format.size();) {
      const char c = format[at++];
      const bool twice = at < format.size() && format[at] == c;
      if ((c == '{' || c == '}') && twice) {
        out += c;
        ++at;
      } else if (c == '{') {
        const size_t end = end_of_field(format, at);
        out += field(format.substr(at, end - at), depth);
        at = end + 1;
      } else if (c == '}') {
        fail("Single '}' encountered in format string");
      } else {
        out += c;
      }
    }
    budget_.charge_bytes(out.size());
    return out;
  }

 private:
  static size_t end_of_field(std::string_view format, size_t at) {
    for (int open = 1; at < format.size(); ++at) {
      if (format[at] == '{') ++open;
      if (format[at] == '}' && --open == 0) return at;
    }
    fail("expected '}' before end of string");
  }

  std::string field(std::string_view text, int depth) {
    size_t end = text.find_first_of(":!");
    const size_t bracket = text.find('[');
    if (bracket != std::string_view::npos && bracket < end) {
      const size_t close = text.find(']', bracket);
      if (close == std::string_view::npos) fail("Missing ']' in format string");
      end = text.find_first_of(":!", close);
    }
    Value value = look_up(text.substr(0, end));
    if (end == std::string_view::npos) return finish(value, "");
    text.remove_prefix(end);
    if (text[0] == '!') {
      if (text.size() < 2 || (text.size() > 2 && text[2] != ':'))
        fail("expected ':' after conversion specifier");
      if (text[1] != 'r' && text[1] != 's' && text[1] != 'a') fail("Unknown conversion specifier");
      value = Value::string(text[1] == 's' ? str(value, budget_) : repr(value, budget_));
      text.remove_prefix(2);
    }
    if (text.empty()) return finish(value, "");
    return finish(value, run(text.substr(1), depth - 1));
  }

  std::string finish(const Value& value, const std::string& spec) {
    std::string text = format_value(value, spec, budget_);
    return markup_ && !value.markup() ? escape_html(text) : text;
  }

  Value look_up(std::string_view path) {
    size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = first(std::string(path.substr(0, end)));
    while (end < path.size()) {
      if (path[end] == '.') {
        const size_t next = std::min(path.find_first_of(".[", end + 1), path.size());
        value = get_attribute(
            value, Value::string(std::string(path.substr(end + 1, next - end - 1))), budget_);
        end = next;
        continue;
      }
      const size_t close = path.find(']', end);
      if (path[end] != '[' || close == std::string_view::npos) fail("Missing ']' in format string");
      const std::string key(path.substr(end + 1, close - end - 1));
      const auto index = parse_integer(key);
      value = get_item(value, index ? Value::integer(*index) : Value::string(key), budget_);
      end = close + 1;
    }
    return value;
  }

  Value first(const std::string& name) {
    if (name.find_first_not_of("0123456789") == std::string::npos) {
      const size_t index = name.empty() ? next_++ : std::strtoul(name.c_str(), nullptr, 10);
      if (index >= positional_.size())
        fail("Replacement index out of range for positional args tuple");
      return positional_[index];
    }
    for (const auto& [key, value] : named_)
      if (key == name) return value;
    fail("no argument '" + name + "' for the format");
  }

  const Values& positional_;
  const std::vector<std::pair<std::string, Value>>& named_;
  const bool markup_;
  Budget& budget_;
  size_t next_ = 0;
};

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Value percent_format(const Value& format, const Value& values, Budget& budget) {
  PercentFormatter formatter(format.text(), format.markup(), values, budget);
  return Value::string(formatter.run(), format.markup());
}

Value brace_format(const Value& format, const Values& positional,
                   const std::vector<std::pair<std::string, Value>>& named, Budget& budget) {
  BraceFormatter formatter(positional, named, format.markup(), budget);
  return Value::string(formatter.run(format.text()), format.markup());
}

}  // namespace longshot::tokenizer::jinja
