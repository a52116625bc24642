#pragma once
// Attributes, items, slices and membership, as jinja2's immutable sandbox gives them: what is
// missing is undefined, and what would change a list or dict is undefined too.

#include <initializer_list>
#include <string>
#include <string_view>

#include "tokenizer/jinja/python/value.h"

namespace longshot::tokenizer::jinja {

// Arguments of a call, a filter or a test.
struct Arguments {
  Values positional;
  std::vector<std::pair<std::string, Value>> named;
};

// A function of Python's or a bound method.
using MethodBody = Value (*)(const Value& self, Arguments& arguments, Budget& budget);
struct Callable : Object {
  virtual Value call(Arguments& arguments, Budget& budget) = 0;
};

// The method `name` of the type of `self`; nullptr if there is none.
MethodBody find_method(const Value& self, std::string_view name);

// value.name: an attribute before an item. `name` is a text.
Value get_attribute(const Value& value, const Value& name, Budget& budget);
// value[key]: an item before an attribute.
Value get_item(const Value& value, const Value& key, Budget& budget);
// value[start:stop:step]; undefined bounds are those left out.
Value get_slice(const Value& value, const Value& start, const Value& stop, const Value& step,
                Budget& budget);
bool contains(const Value& container, const Value& item, Budget& budget);

Value call_value(const Value& callee, Arguments& arguments, Budget& budget);

// Gives arguments their places: `names` are those of a function's parameters, the first
// `required` of which must be given; the others are undefined if they are not. Arguments that the
// function does not have fail.
Values bind(const char* function, Arguments& arguments, std::initializer_list<const char*> names,
            size_t required);
// Arguments as numbers; undefined (left out) gives the default.
Int integer_or(const Value& value, Int fallback, const char* what);
bool bool_or(const Value& value, bool fallback);

}  // namespace longshot::tokenizer::jinja
