#include "tokenizer/jinja/tests.h"

#include <unordered_map>

#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/python/characters.h"
#include "tokenizer/jinja/python/numbers.h"
#include "tokenizer/jinja/python/text_methods.h"

namespace longshot::tokenizer::jinja {
namespace {

Value remainder(const Value& value, const Value& divisor, Budget& budget) {
  return arithmetic(BinaryOp::modulo, value, divisor, budget);
}

template <int rest>
bool is_parity(const Value& value, Arguments& arguments, Budget& budget) {
  bind("the test", arguments, {}, 0);
  return equal(remainder(value, Value::integer(2), budget), Value::integer(rest), budget);
}

bool is_divisible(const Value& value, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("divisibleby", arguments, {"num"}, 1);
  return equal(remainder(value, given[0], budget), Value::integer(0), budget);
}

template <bool (*is)(const Value&)>
bool without_arguments(const Value& value, Arguments& arguments, Budget& budget) {
  bind("the test", arguments, {}, 0);
  return is(value);
}

template <bool (*is)(const Value&)>
constexpr Test plain() {
  return {without_arguments<is>, is};
}

template <Type type>
bool has_type(const Value& value) {
  return value.is(type);
}

bool is_defined(const Value& value) {
  return !value.is(Type::undefined);
}

bool is_true(const Value& value) {
  return value.is(Type::boolean) && value.as_bool();
}

bool is_false(const Value& value) {
  return value.is(Type::boolean) && !value.as_bool();
}

bool is_number(const Value& value) {
  return value.is_number();
}

// Includes undefined values, which have a length and items in Python.
bool is_sequence(const Value& value) {
  return length_of(value) >= 0 && !value.is(Type::view);
}

bool is_iterable(const Value& value) {
  return iterable(value) || value.is(Type::loop);
}

bool is_callable(const Value& value) {
  return value.is(Type::callable) || value.is(Type::loop) || value.is(Type::undefined);
}

bool is_escaped(const Value& value) {
  return value.markup();
}

template <bool lower>
bool has_case(const Value& value, Arguments& arguments, Budget& budget) {
  bind("the test", arguments, {}, 0);
  const Value text = Value::string(str(value, budget));
  Arguments none;
  return truthy(find_method(Type::string, lower ? "islower" : "isupper")(text, none, budget));
}

bool is_filter(const Value& value, Arguments& arguments, Budget& budget) {
  bind("filter", arguments, {}, 0);
  if (!hashable(value)) fail("unhashable type: '" + type_name(value) + "'");
  return value.is(Type::string) &&
         (find_filter(value.text()) != nullptr || why_unsupported(value.text()) != nullptr);
}

bool is_test(const Value& value, Arguments& arguments, Budget& budget) {
  bind("test", arguments, {}, 0);
  if (!hashable(value)) fail("unhashable type: '" + type_name(value) + "'");
  return value.is(Type::string) && find_test(value.text()) != nullptr;
}

bool is_same(const Value& value, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("sameas", arguments, {"other"}, 1);
  return value.same(given[0]);
}

bool is_in(const Value& value, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("in", arguments, {"seq"}, 1);
  return contains(given[0], value, budget);
}

template <bool wanted>
bool is_equal(const Value& value, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("the test", arguments, {"b"}, 1);
  return equal(value, given[0], budget) == wanted;
}

template <Order order, bool or_equal>
bool is_ordered(const Value& value, Arguments& arguments, Budget& budget) {
  const ValueList given = bind("the test", arguments, {"b"}, 1);
  const char* symbol = order == Order::less ? (or_equal ? "<=" : "<") : (or_equal ? ">=" : ">");
  const Order found = compare(value, given[0], symbol, budget);
  return found == order || (or_equal && found == Order::equal);
}

}  // namespace

const Test* find_test(std::string_view name) {
  static const std::unordered_map<std::string_view, Test> table = {
      {"odd", {is_parity<1>}},
      {"even", {is_parity<0>}},
      {"divisibleby", {is_divisible}},
      {"defined", plain<is_defined>()},
      {"undefined", plain<has_type<Type::undefined>>()},
      {"filter", {is_filter}},
      {"test", {is_test}},
      {"none", plain<has_type<Type::none>>()},
      {"boolean", plain<has_type<Type::boolean>>()},
      {"true", plain<is_true>()},
      {"false", plain<is_false>()},
      {"integer", plain<has_type<Type::integer>>()},
      {"float", plain<has_type<Type::real>>()},
      {"lower", {has_case<true>}},
      {"upper", {has_case<false>}},
      {"string", plain<has_type<Type::string>>()},
      {"mapping", plain<has_type<Type::dict>>()},
      {"number", plain<is_number>()},
      {"sequence", plain<is_sequence>()},
      {"iterable", plain<is_iterable>()},
      {"callable", plain<is_callable>()},
      {"sameas", {is_same}},
      {"escaped", plain<is_escaped>()},
      {"in", {is_in}},
      {"==", {is_equal<true>}},
      {"eq", {is_equal<true>}},
      {"equalto", {is_equal<true>}},
      {"!=", {is_equal<false>}},
      {"ne", {is_equal<false>}},
      {">", {is_ordered<Order::greater, false>}},
      {"gt", {is_ordered<Order::greater, false>}},
      {"greaterthan", {is_ordered<Order::greater, false>}},
      {">=", {is_ordered<Order::greater, true>}},
      {"ge", {is_ordered<Order::greater, true>}},
      {"<", {is_ordered<Order::less, false>}},
      {"lt", {is_ordered<Order::less, false>}},
      {"lessthan", {is_ordered<Order::less, false>}},
      {"<=", {is_ordered<Order::less, true>}},
      {"le", {is_ordered<Order::less, true>}},
  };
  const auto found = table.find(name);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace longshot::tokenizer::jinja
