#include "tokenizer/jinja/python/text_methods.h"

#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/jinja/python/characters.h"
#include "tokenizer/jinja/python/formatting.h"
#include "tokenizer/jinja/python/numbers.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer::jinja {
namespace {

Value like(const Value& self, std::string text) {
  return Value::string(std::move(text), self.markup());
}

Value like(const Value& self, std::string_view text) {
  return like(self, std::string(text));
}

template <bool left, bool right>
Value strip_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("strip()", arguments, {"chars"}, 0);
  budget.charge_bytes(self.text().size());
  return like(self, strip_by(self.text(), given[0], left, right));
}

// The maxsplit of split and rsplit; a negative value means no limit.
Int split_limit(const Value& value) {
  const Int limit = integer_or(value, -1, "maxsplit");
  return limit < 0 ? Int{1} << 60 : limit;
}

std::vector<std::string_view> split_spaces(std::string_view text, Int limit, bool from_right) {
  std::vector<std::string_view> parts;
  text = from_right ? strip_right(text) : strip_left(text);
  while (!text.empty()) {
    if (static_cast<Int>(parts.size()) == limit) {
      parts.push_back(text);
      break;
    }
    size_t at = from_right ? text.size() : 0;
    while (from_right ? at > 0 : at < text.size()) {
      const CodePoint c = from_right ? code_point_before(text, at) : code_point_at(text, at);
      if (is_space(c.value)) break;
      at = from_right ? at - static_cast<size_t>(c.length) : at + static_cast<size_t>(c.length);
    }
    parts.push_back(from_right ? text.substr(at) : text.substr(0, at));
    text = from_right ? strip_right(text.substr(0, at)) : strip_left(text.substr(at));
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_by(std::string_view text, std::string_view separator, Int limit,
                                       bool from_right) {
  if (separator.empty()) fail("empty separator");
  std::vector<std::string_view> parts;
  while (static_cast<Int>(parts.size()) < limit) {
    const size_t at = from_right ? text.rfind(separator) : find_text(text, separator);
    if (at == std::string_view::npos) break;
    const auto after = text.substr(at + separator.size());
    parts.push_back(from_right ? after : text.substr(0, at));
    text = from_right ? text.substr(0, at) : after;
  }
  parts.push_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool from_right>
Value split_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("split()", arguments, {"sep", "maxsplit"}, 0);
  budget.charge_bytes(self.text().size());
  const bool spaces = given[0].is(Type::undefined) || given[0].is(Type::none);
  const Int limit = split_limit(given[1]);
  const auto parts = spaces ? split_spaces(self.text(), limit, from_right)
                            : split_by(self.text(), text_of(given[0], "sep"), limit, from_right);
  budget.charge_bytes(parts.size() * sizeof(Value));
  Values items;
  for (const auto part : parts) items.push_back(like(self, part));
  return Value::list(std::move(items));
}

Value splitlines_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("splitlines()", arguments, {"keepends"}, 0);
  budget.charge_bytes(self.text().size() * 4);
  Values items;
  for (const auto line : split_lines(self.text(), bool_or(given[0], false)))
    items.push_back(like(self, line));
  return Value::list(std::move(items));
}

template <bool from_right>
Value partition_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("partition()", arguments, {"sep"}, 1);
  const std::string& separator = text_of(given[0], "sep");
  if (separator.empty()) fail("empty separator");
  budget.charge_bytes(self.text().size());
  const std::string_view text = self.text();
  const size_t at = from_right ? text.rfind(separator) : find_text(text, separator);
  if (at == std::string_view::npos) {
    const Value none = like(self, std::string());
    return from_right ? Value::tuple({none, none, self}) : Value::tuple({self, none, none});
  }
  return Value::tuple({like(self, text.substr(0, at)), like(self, std::string_view(separator)),
                       like(self, text.substr(at + separator.size()))});
}

// A text that becomes a part of `self`. If `self` is markup, other texts are escaped.
std::string part_for(const Value& self, const Value& part, const char* what) {
  const std::string& text = text_of(part, what);
  return self.markup() && !part.markup() ? escape_html(text) : text;
}

Value replace_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("replace()", arguments, {"old", "new", "count"}, 2);
  return like(self,
              replace_text(self.text(), text_of(given[0], "old"), part_for(self, given[1], "new"),
                           integer_or(given[2], -1, "count"), budget));
}

Value join_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("join()", arguments, {"iterable"}, 1);
  return join_texts(self, *items_of(given[0], budget), budget);
}

template <bool prefix>
Value remove_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("removeprefix()", arguments, {"affix"}, 1);
  std::string_view text = self.text();
  const std::string& affix = text_of(given[0], "the argument");
  if (prefix && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (!prefix && text.ends_with(affix)) text.remove_suffix(affix.size());
  return like(self, text);
}

template <std::string (*change)(std::string_view)>
Value change_method(const Value& self, Arguments& arguments, Budget& budget) {
  bind("the method", arguments, {}, 0);
  budget.charge_bytes(self.text().size() * 4);
  return like(self, change(self.text()));
}

std::string swap_case(std::string_view text) {
  std::string out;
  for (const auto part : characters(text)) {
    const char32_t c = code_point_at(part, 0).value;
    out += is_cased_upper(c) ? lower(part) : is_cased_lower(c) ? upper(part) : std::string(part);
  }
  return out;
}

std::string title(std::string_view text) {
  std::string out;
  bool inside = false;
  for (const auto part : characters(text)) {
    const char32_t c = code_point_at(part, 0).value;
    out += inside ? lower(part) : title_character(c);
    inside = is_cased_upper(c) || is_cased_lower(c) || is_title_case(c);
  }
  return out;
}

enum class Side { left, right, both };
template <Side side>
Value justify_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("center()", arguments, {"width", "fillchar"}, 1);
  const std::string fill =
      given[1].is(Type::undefined) ? " " : part_for(self, given[1], "fillchar");
  if (character_count(fill) != 1) fail("The fill character must be exactly one character long");
  const Int width = integer_or(given[0], 0, "width");
  if (side == Side::both) return like(self, center(self.text(), width, fill, budget));
  const Int missing = std::max<Int>(width - length_of(self), 0);
  const Value padding =
      arithmetic(BinaryOp::multiply, Value::string(fill), Value::integer(missing), budget);
  return like(self,
              side == Side::left ? self.text() + padding.text() : padding.text() + self.text());
}

Value zfill_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("zfill()", arguments, {"width"}, 1);
  const Int missing = std::max<Int>(integer_or(given[0], 0, "width") - length_of(self), 0);
  const Value zeros =
      arithmetic(BinaryOp::multiply, Value::string("0"), Value::integer(missing), budget);
  const std::string& text = self.text();
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  return like(self, text.substr(0, sign ? 1 : 0) + zeros.text() + text.substr(sign ? 1 : 0));
}

Value expandtabs_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("expandtabs()", arguments, {"tabsize"}, 0);
  const Int size = std::min<Int>(integer_or(given[0], 8, "tabsize"), 10'000);
  std::string out;
  Int column = 0;
  for (const auto part : characters(self.text())) {
    if (part == "\t") {
      const Int spaces = size <= 0 ? 0 : size - column % size;
      out.append(static_cast<size_t>(spaces), ' ');
      column += spaces;
    } else {
      out += part;
      column = part == "\n" || part == "\r" ? 0 : column + 1;
    }
    budget.charge_bytes(64);
  }
  return like(self, std::move(out));
}

Value format_method(const Value& self, Arguments& arguments, Budget& budget) {
  return brace_format(self, arguments.positional.take(), arguments.named, budget);
}

Value format_map_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("format_map()", arguments, {"mapping"}, 1);
  if (!given[0].is(Type::dict)) fail("format_map() takes a mapping");
  std::vector<std::pair<std::string, Value>> named;
  for (const auto& [key, value] : given[0].dict().items)
    if (key.is(Type::string)) named.emplace_back(key.text(), value);
  return brace_format(self, {}, named, budget);
}

}  // namespace

const std::string& text_of(const Value& value, const char* what) {
  if (value.is(Type::undefined)) fail(value.undefined_message());
  if (!value.is(Type::string)) fail(fmt::format("{} must be str, not {}", what, type_name(value)));
  return value.text();
}

std::string replace_text(std::string_view text, std::string_view old, std::string_view with,
                         Int count, Budget& budget) {
  if (count < 0) count = Int{1} << 60;
  std::string out;
  size_t done = 0;
  budget.charge_bytes(text.size());
  for (size_t at = 0; count > 0; --count) {
    const size_t found = find_text(text, old, at);
    if (found == std::string_view::npos) break;
    out += text.substr(done, found - done);
    out += with;
    done = found + old.size();
    budget.charge_bytes(with.size() + 16);
    if (out.size() > (size_t{64} << 20)) budget.charge_bytes(out.size());
    if (!old.empty()) {
      at = done;
    } else if (found < text.size()) {
      at = found + static_cast<size_t>(code_point_at(text, found).length);
    } else {
      break;
    }
  }
  out += text.substr(done);
  return out;
}

std::string capitalize(std::string_view text) {
  if (text.empty()) return "";
  const CodePoint first = code_point_at(text, 0);
  return title_character(first.value) + lower(text.substr(static_cast<size_t>(first.length)));
}

std::string center(std::string_view text, Int width, std::string_view fill, Budget& budget) {
  const Int length = static_cast<Int>(character_count(text));
  if (width <= length) return std::string(text);
  const Int missing = width - length;
  const Int left = missing / 2 + (missing & width & 1);
  const auto padding = [&](Int count) {
    return arithmetic(BinaryOp::multiply, Value::string(std::string(fill)), Value::integer(count),
                      budget)
        .text();
  };
  return padding(left) + std::string(text) + padding(missing - left);
}

std::string_view strip_by(std::string_view text, const Value& chars, bool left, bool right) {
  if (chars.is(Type::undefined) || chars.is(Type::none)) {
    if (left) text = strip_left(text);
    return right ? strip_right(text) : text;
  }
  return strip_set(text, text_of(chars, "strip arg"), left, right);
}

Value join_texts(const Value& separator, const Values& items, Budget& budget) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is(Type::string))
      fail(
          fmt::format("sequence item {}: expected str instance, {} found", i, type_name(items[i])));
    if (i > 0) out += separator.text();
    const bool escapes = separator.markup() && !items[i].markup();
    out += escapes ? escape_html(items[i].text()) : items[i].text();
    budget.charge_bytes(separator.text().size() + items[i].text().size());
    if (out.size() > (size_t{64} << 20)) budget.charge_bytes(out.size());
  }
  return Value::string(std::move(out), separator.markup());
}

const MethodTable& text_methods() {
  static const MethodTable table = {
      {"capitalize", change_method<capitalize>},
      {"casefold", change_method<casefold>},
      {"center", justify_method<Side::both>},
      {"expandtabs", expandtabs_method},
      {"format", format_method},
      {"format_map", format_map_method},
      {"join", join_method},
      {"ljust", justify_method<Side::left>},
      {"lower", change_method<lower>},
      {"lstrip", strip_method<true, false>},
      {"partition", partition_method<false>},
      {"removeprefix", remove_method<true>},
      {"removesuffix", remove_method<false>},
      {"replace", replace_method},
      {"rjust", justify_method<Side::right>},
      {"rpartition", partition_method<true>},
      {"rsplit", split_method<true>},
      {"rstrip", strip_method<false, true>},
      {"split", split_method<false>},
      {"splitlines", splitlines_method},
      {"strip", strip_method<true, true>},
      {"swapcase", change_method<swap_case>},
      {"title", change_method<title>},
      {"upper", change_method<upper>},
      {"zfill", zfill_method},
  };
  return table;
}

}  // namespace longshot::tokenizer::jinja
