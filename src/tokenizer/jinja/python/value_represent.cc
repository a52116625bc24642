// str(), repr(), equality and order of values, and iteration.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "tokenizer/jinja/python/characters.h"
#include "tokenizer/jinja/python/numbers.h"
#include "tokenizer/jinja/python/value.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer::jinja {
namespace {

void append_escaped(char32_t c, char quote, std::string& out) {
  if (c == static_cast<char32_t>(quote) || c == '\\') {
    out += '\\';
    out += static_cast<char>(c);
  } else if (c == '\n' || c == '\r' || c == '\t') {
    out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
  } else if (is_printable(c)) {
    append_utf8(c, out);
  } else if (c < 0x100) {
    out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
  } else if (c < 0x10000) {
    out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  } else {
    out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
  }
}

void append_quoted(const std::string& text, std::string& out) {
  const bool double_quotes =
      text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
  const char quote = double_quotes ? '"' : '\'';
  out += quote;
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    append_escaped(c.value, quote, out);
    at += static_cast<size_t>(c.length);
  }
  out += quote;
}

void append_items(const Values& items, std::string& out, Budget& budget) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ", ";
    append_repr(items[i], out, budget);
  }
}

void append_pairs(const std::vector<std::pair<Value, Value>>& items, std::string& out,
                  Budget& budget) {
  out += '{';
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ", ";
    append_repr(items[i].first, out, budget);
    out += ": ";
    append_repr(items[i].second, out, budget);
  }
  out += '}';
}

void append_view(const Value& view, std::string& out, Budget& budget) {
  const auto kind = view.as<View>().kind;
  out += kind == View::Kind::keys     ? "dict_keys(["
         : kind == View::Kind::values ? "dict_values(["
                                      : "dict_items([";
  append_items(*items_of(view, budget), out, budget);
  out += "])";
}

void append_range(const Range& range, std::string& out) {
  out += "range(" + integer_text(range.start) + ", " + integer_text(range.stop);
  if (range.step != 1) out += ", " + integer_text(range.step);
  out += ')';
}

void append_space(const Space& space, std::string& out, Budget& budget) {
  out += "<Namespace {";
  for (size_t i = 0; i < space.items.size(); ++i) {
    if (i > 0) out += ", ";
    append_quoted(space.items[i].first, out);
    out += ": ";
    append_repr(space.items[i].second, out, budget);
  }
  out += "}>";
}

Order order_of(bool less, bool equal) {
  return less ? Order::less : equal ? Order::equal : Order::greater;
}

Order compare_numbers(const Value& a, const Value& b) {
  if (!a.is(Type::real) && !b.is(Type::real))
    return order_of(a.as_int() < b.as_int(), a.as_int() == b.as_int());
  const double x = a.as_double(), y = b.as_double();
  if (std::isnan(x) || std::isnan(y)) return Order::unordered;
  return order_of(x < y, x == y);
}

bool equal_items(const Values& a, const Values& b, Budget& budget) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!a[i].same(b[i]) && !equal(a[i], b[i], budget)) return false;
  return true;
}

bool equal_dicts(const Dict& a, const Dict& b, Budget& budget) {
  if (a.items.size() != b.items.size()) return false;
  for (const auto& [key, value] : a.items) {
    budget.charge(1 + static_cast<int64_t>(b.items.size() / 8));
    const Value* other = b.find(key);
    if (other == nullptr || !equal(value, *other, budget)) return false;
  }
  return true;
}

Order compare_items(const Values& a, const Values& b, const char* op, Budget& budget) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    if (!equal(a[i], b[i], budget)) return compare(a[i], b[i], op, budget);
  return order_of(a.size() < b.size(), a.size() == b.size());
}

}  // namespace

void append_repr(const Value& value, std::string& out, Budget& budget) {
  const Budget::Depth depth(budget);
  budget.charge(1);
  switch (value.type()) {
    case Type::string:
      if (value.markup()) out += "Markup(";
      append_quoted(value.text(), out);
      if (value.markup()) out += ')';
      break;
    case Type::list:
      out += '[';
      append_items(value.items(), out, budget);
      out += ']';
      break;
    case Type::tuple:
      out += '(';
      append_items(value.items(), out, budget);
      out += value.items().size() == 1 ? ",)" : ")";
      break;
    case Type::dict:
      append_pairs(value.dict().items, out, budget);
      break;
    case Type::undefined:
      out += "Undefined";
      break;
    default:
      append_str(value, out, budget);
  }
  budget.charge_bytes(out.size() / 64);
}

void append_str(const Value& value, std::string& out, Budget& budget) {
  switch (value.type()) {
    case Type::undefined:
      return;
    case Type::none:
      out += "None";
      return;
    case Type::boolean:
      out += value.as_bool() ? "True" : "False";
      return;
    case Type::integer:
      out += integer_text(value.as_int());
      return;
    case Type::real:
      out += real_text(value.as_double());
      return;
    case Type::string:
      budget.charge_bytes(value.text().size());
      out += value.text();
      return;
    case Type::view:
      return append_view(value, out, budget);
    case Type::range:
      return append_range(value.as<Range>(), out);
    case Type::space:
      return append_space(value.as<Space>(), out, budget);
    case Type::iterator:
    case Type::callable:
    case Type::loop:
      fail("a " + type_name(value) + " is written into the text; Python would write its address");
    default:
      append_repr(value, out, budget);
  }
}

std::string repr(const Value& value, Budget& budget) {
  std::string out;
  append_repr(value, out, budget);
  return out;
}

std::string str(const Value& value, Budget& budget) {
  std::string out;
  append_str(value, out, budget);
  return out;
}

bool equal(const Value& a, const Value& b, Budget& budget) {
  if (a.is(Type::string) && b.is(Type::string)) {
    budget.charge_bytes(std::min(a.text().size(), b.text().size()));
    return a.text() == b.text();
  }
  const Budget::Depth depth(budget);
  budget.charge(1);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == Order::equal;
  if (a.type() != b.type()) return false;
  switch (a.type()) {
    case Type::undefined:
    case Type::none:
      return true;
    case Type::list:
    case Type::tuple:
      return equal_items(a.items(), b.items(), budget);
    case Type::dict:
      return equal_dicts(a.dict(), b.dict(), budget);
    case Type::range:
      return equal_items(*items_of(a, budget), *items_of(b, budget), budget);
    default:
      return a.same(b);
  }
}

Order compare(const Value& a, const Value& b, const char* op, Budget& budget) {
  const Budget::Depth depth(budget);
  budget.charge(1);
  for (const Value* side : {&a, &b})
    if (side->is(Type::undefined)) fail(side->undefined_message());
  if (a.is_number() && b.is_number()) return compare_numbers(a, b);
  if (a.is(Type::string) && b.is(Type::string)) {
    budget.charge_bytes(std::min(a.text().size(), b.text().size()));
    const int sign = a.text().compare(b.text());
    return order_of(sign < 0, sign == 0);
  }
  if (a.type() == b.type() && (a.is(Type::list) || a.is(Type::tuple)))
    return compare_items(a.items(), b.items(), op, budget);
  fail(fmt::format("'{}' not supported between instances of '{}' and '{}'", op, type_name(a),
                   type_name(b)));
}

Items items_of(const Value& value, Budget& budget) {
  if (value.is(Type::list) || value.is(Type::tuple)) return Items(value);
  Values out;
  const int64_t length = length_of(value);
  constexpr int64_t kStepsPerCharacter = 8;  // each character becomes a text of its own
  if (length > 0) budget.charge(value.is(Type::string) ? length * kStepsPerCharacter : length);
  switch (value.type()) {
    case Type::undefined:
      break;
    case Type::string:  // the characters of markup are not markup
      for (const auto c : characters(value.text())) out.push_back(Value::string(std::string(c)));
      break;
    case Type::dict:
      for (const auto& item : value.dict().items) out.push_back(item.first);
      break;
    case Type::view:
      for (const auto& [key, item] : value.as<View>().dict->items) {
        const auto kind = value.as<View>().kind;
        out.push_back(kind == View::Kind::keys     ? key
                      : kind == View::Kind::values ? item
                                                   : Value::tuple({key, item}));
      }
      break;
    case Type::range:
      for (int64_t i = 0; i < length; ++i) {
        const auto& range = value.as<Range>();
        out.push_back(Value::integer(range.start + i * range.step));
      }
      break;
    case Type::iterator: {
      auto& iterator = value.as<Iterator>();
      out.assign(iterator.items.begin() + static_cast<long>(iterator.next), iterator.items.end());
      iterator.next = iterator.items.size();
      break;
    }
    default:
      fail("'" + type_name(value) + "' object is not iterable");
  }
  return Items(std::move(out));
}

}  // namespace longshot::tokenizer::jinja
