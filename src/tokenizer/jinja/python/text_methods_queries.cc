// The methods of str that query a text, and the methods of the other types.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tokenizer/jinja/python/characters.h"
#include "tokenizer/jinja/python/text_methods.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer::jinja {
namespace {

// The part [start, end) of a text in which find, count and startswith search.
struct Window {
  std::string_view text;
  Int start = 0;       // number of characters before it
  bool exists = true;  // false if start is beyond the end
};

Window window_of(const Value& self, const Value& start, const Value& end) {
  const bool whole = (start.is(Type::undefined) || start.is(Type::none)) &&
                     (end.is(Type::undefined) || end.is(Type::none));
  if (whole) return {self.text()};
  const Int length = length_of(self);
  const auto place = [&](const Value& value, Int fallback) {
    Int at = value.is(Type::none) ? fallback : integer_or(value, fallback, "slice indices");
    if (at < 0) at = std::max<Int>(at + length, 0);
    return at;
  };
  const Int from = place(start, 0), to = std::min(place(end, length), length);
  if (from > length || from > to) return {{}, from, false};
  const size_t begin = byte_offset(self.text(), static_cast<size_t>(from));
  const auto rest = std::string_view(self.text()).substr(begin);
  return {rest.substr(0, byte_offset(rest, static_cast<size_t>(to - from))), from};
}

// The character index of `sub`; -1 if it is not there.
template <bool from_right>
Int find_in(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("find()", arguments, {"sub", "start", "end"}, 1);
  const std::string& sub = text_of(given[0], "the text to find");
  budget.charge_bytes(self.text().size());
  const Window window = window_of(self, given[1], given[2]);
  if (!window.exists) return -1;
  const size_t at = from_right ? window.text.rfind(sub) : find_text(window.text, sub);
  if (at == std::string_view::npos) return -1;
  return window.start + static_cast<Int>(character_count(window.text.substr(0, at)));
}

template <bool from_right>
Value search_method(const Value& self, Arguments& arguments, Budget& budget) {
  return Value::integer(find_in<from_right>(self, arguments, budget));
}

template <bool from_right>
Value index_method(const Value& self, Arguments& arguments, Budget& budget) {
  const Int at = find_in<from_right>(self, arguments, budget);
  if (at < 0) fail("substring not found");
  return Value::integer(at);
}

Value count_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("count()", arguments, {"sub", "start", "end"}, 1);
  const std::string& sub = text_of(given[0], "the text to count");
  budget.charge_bytes(self.text().size());
  const Window window = window_of(self, given[1], given[2]);
  if (!window.exists) return Value::integer(0);
  if (sub.empty()) return Value::integer(static_cast<Int>(character_count(window.text)) + 1);
  Int count = 0;
  for (size_t at = find_text(window.text, sub); at != std::string_view::npos;
       at = find_text(window.text, sub, at + sub.size()))
    ++count;
  return Value::integer(count);
}

template <bool prefix>
Value affix_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("startswith()", arguments, {"affix", "start", "end"}, 1);
  const Window window = window_of(self, given[1], given[2]);
  const auto matches = [&](const Value& affix) {
    if (!affix.is(Type::string))
      fail("startswith first arg must be str or a tuple of str, not " + type_name(affix));
    budget.charge_bytes(affix.text().size());
    return window.exists &&
           (prefix ? window.text.starts_with(affix.text()) : window.text.ends_with(affix.text()));
  };
  if (!given[0].is(Type::tuple)) return Value::boolean(matches(given[0]));
  const Values& choices = given[0].items();
  return Value::boolean(std::any_of(choices.begin(), choices.end(), matches));
}

template <bool (*is)(char32_t)>
Value all_method(const Value& self, Arguments& arguments, Budget& budget) {
  bind("the method", arguments, {}, 0);
  budget.charge_bytes(self.text().size() * 4);
  const auto parts = characters(self.text());
  return Value::boolean(!parts.empty() && std::all_of(parts.begin(), parts.end(), [](auto part) {
    return is(code_point_at(part, 0).value);
  }));
}

bool is_alphanumeric(char32_t c) {
  return is_alphabetic(c) || is_decimal(c) || is_digit(c) || is_numeric(c);
}

Value isascii_method(const Value& self, Arguments& arguments, Budget& budget) {
  bind("isascii()", arguments, {}, 0);
  return Value::boolean(is_ascii(self.text()));
}

Value isprintable_method(const Value& self, Arguments& arguments, Budget& budget) {
  if (self.text().empty()) return Value::boolean(true);
  return all_method<is_printable>(self, arguments, budget);
}

Value isidentifier_method(const Value& self, Arguments& arguments, Budget& budget) {
  bind("isidentifier()", arguments, {}, 0);
  return Value::boolean(is_identifier(self.text()));
}

// islower (lower = true) and isupper: true if there is a cased character and none of the other
// case.
template <bool lower>
Value case_method(const Value& self, Arguments& arguments, Budget& budget) {
  bind("the method", arguments, {}, 0);
  budget.charge_bytes(self.text().size() * 4);
  bool found = false;
  for (const auto part : characters(self.text())) {
    const char32_t c = code_point_at(part, 0).value;
    if (is_title_case(c) || (lower ? is_cased_upper(c) : is_cased_lower(c)))
      return Value::boolean(false);
    found = found || (lower ? is_cased_lower(c) : is_cased_upper(c));
  }
  return Value::boolean(found);
}

Value istitle_method(const Value& self, Arguments& arguments, Budget& budget) {
  bind("istitle()", arguments, {}, 0);
  bool found = false, inside = false;
  for (const auto part : characters(self.text())) {
    const char32_t c = code_point_at(part, 0).value;
    const bool big = is_cased_upper(c) || is_title_case(c);
    if ((big && inside) || (is_cased_lower(c) && !inside)) return Value::boolean(false);
    inside = big || is_cased_lower(c);
    found = found || inside;
  }
  return Value::boolean(found);
}

template <View::Kind kind>
Value view_method(const Value& self, Arguments& arguments, Budget& budget) {
  bind("the method", arguments, {}, 0);
  const auto view = make_object<View>();
  view->kind = kind;
  view->dict = Ref<Dict>(&self.as<Dict>());
  view->depth = self.depth() + 1;
  return Value::object(Type::view, view);
}

Value get_method(const Value& self, Arguments& arguments, Budget& budget) {
  ValueList given = bind("get()", arguments, {"key", "default"}, 1);
  if (!hashable(given[0])) fail("unhashable type: '" + type_name(given[0]) + "'");
  const bool default_given = arguments.positional.size() > 1;
  const Value* found = self.dict().find(given[0]);
  if (found != nullptr) return *found;
  return default_given ? given[1] : Value::none();
}

Value copy_method(const Value& self, Arguments& arguments, Budget& budget) {
  bind("copy()", arguments, {}, 0);
  return self;
}

Value item_count_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("count()", arguments, {"value"}, 1);
  Int count = 0;
  const auto item_items = items_of(self, budget);
  for (const Value& item : *item_items)
    if (equal(item, given[0], budget)) ++count;
  return Value::integer(count);
}

Value item_index_method(const Value& self, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("index()", arguments, {"value", "start", "stop"}, 1);
  const auto items = items_of(self, budget);
  const Int length = static_cast<Int>(items->size());
  const auto place = [&](const Value& value, Int fallback) {
    const Int at = integer_or(value, fallback, "slice indices");
    return std::clamp<Int>(at < 0 ? at + length : at, 0, length);
  };
  for (Int i = place(given[1], 0); i < place(given[2], length); ++i)
    if (equal((*items)[static_cast<size_t>(i)], given[0], budget)) return Value::integer(i);
  fail("the value is not in the " + type_name(self));
}

Value is_integer_method(const Value& self, Arguments& arguments, Budget& budget) {
  bind("is_integer()", arguments, {}, 0);
  const double value = self.as_double();
  return Value::boolean(std::isfinite(value) && value == std::floor(value));
}

Value bit_length_method(const Value& self, Arguments& arguments, Budget& budget) {
  bind("bit_length()", arguments, {}, 0);
  Int bits = 0;
  for (Int rest = self.as_int() < 0 ? -self.as_int() : self.as_int(); rest > 0; rest /= 2) ++bits;
  return Value::integer(bits);
}

const MethodTable& dict_methods() {
  static const MethodTable table = {{"copy", copy_method},
                                    {"get", get_method},
                                    {"items", view_method<View::Kind::items>},
                                    {"keys", view_method<View::Kind::keys>},
                                    {"values", view_method<View::Kind::values>}};
  return table;
}

const MethodTable& sequence_methods() {
  static const MethodTable table = {{"count", item_count_method}, {"index", item_index_method}};
  return table;
}

MethodBody in_table(const MethodTable& table, std::string_view name) {
  const auto found = table.find(name);
  return found == table.end() ? nullptr : found->second;
}

}  // namespace

const MethodTable& text_queries() {
  static const MethodTable table = {
      {"count", count_method},
      {"endswith", affix_method<false>},
      {"find", search_method<false>},
      {"index", index_method<false>},
      {"isalnum", all_method<is_alphanumeric>},
      {"isalpha", all_method<is_alphabetic>},
      {"isascii", isascii_method},
      {"isdecimal", all_method<is_decimal>},
      {"isdigit", all_method<is_digit>},
      {"isidentifier", isidentifier_method},
      {"islower", case_method<true>},
      {"isnumeric", all_method<is_numeric>},
      {"isprintable", isprintable_method},
      {"isspace", all_method<is_space>},
      {"istitle", istitle_method},
      {"isupper", case_method<false>},
      {"rfind", search_method<true>},
      {"rindex", index_method<true>},
      {"startswith", affix_method<true>},
  };
  return table;
}

MethodBody find_method(Type type, std::string_view name) {
  switch (type) {
    case Type::string: {
      const MethodBody found = in_table(text_methods(), name);
      return found != nullptr ? found : in_table(text_queries(), name);
    }
    case Type::dict:
      return in_table(dict_methods(), name);
    case Type::list:
      return name == "copy" ? copy_method : in_table(sequence_methods(), name);
    case Type::tuple:
    case Type::range:
      return in_table(sequence_methods(), name);
    case Type::real:
      return name == "is_integer" ? is_integer_method : nullptr;
    case Type::integer:
    case Type::boolean:
      return name == "bit_length" ? bit_length_method : nullptr;
    default:
      return nullptr;
  }
}

}  // namespace longshot::tokenizer::jinja
