#pragma once
// Attributes, items, slices and membership as in jinja2's immutable sandbox: missing members are
// undefined, and so are methods that would change a list or dict.

#include <array>
#include <initializer_list>
#include <string>
#include <string_view>

#include "tokenizer/jinja/python/value.h"

namespace longshot::tokenizer::jinja {

// The values of a call. Up to four need no allocation.
class ValueList {
 public:
  ValueList() = default;
  explicit ValueList(size_t count) { resize(count); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Value& operator[](size_t i) { return begin()[i]; }
  const Value& operator[](size_t i) const { return begin()[i]; }
  Value* begin() { return size_ <= few_.size() ? few_.data() : many_.data(); }
  const Value* begin() const { return size_ <= few_.size() ? few_.data() : many_.data(); }
  Value* end() { return begin() + size_; }
  const Value* end() const { return begin() + size_; }
  void push_back(Value value);
  void erase_front(size_t count);
  Values take();  // moves all of them into a vector

 private:
  void resize(size_t count);

  std::array<Value, 4> few_;
  Values many_;  // all of them if there are more than four
  size_t size_ = 0;
};

// The arguments of a call, a filter or a test.
struct Arguments {
  ValueList positional;
  std::vector<std::pair<std::string, Value>> named;

  bool none() const { return positional.empty() && named.empty(); }
};

// A built-in function of Python, or a bound method.
using MethodBody = Value (*)(const Value& self, Arguments& arguments, Budget& budget);
struct Callable : Object {
  virtual Value call(Arguments& arguments, Budget& budget) = 0;
};

// The method `name` of a type; nullptr if there is none.
MethodBody find_method(Type type, std::string_view name);

// The name of an attribute, with the methods of that name found in advance.
struct Member {
  explicit Member(const Value& name);  // a text, which the caller keeps
  MethodBody method_of(const Value& value) const {
    return methods[static_cast<size_t>(value.type())];
  }
  bool is_plain(const Value& value) const {
    return method_of(value) == nullptr && !hidden[static_cast<size_t>(value.type())];
  }

  Value name;
  std::array<MethodBody, kTypes> methods = {};
  std::array<bool, kTypes> hidden = {};  // true if the sandbox hides an attribute of this name
};

// value.name. An attribute takes precedence over an item.
Value get_attribute(const Value& value, const Member& member, Budget& budget);
Value get_attribute(const Value& value, const Value& name, Budget& budget);
// value[key]. An item takes precedence over an attribute.
Value get_item(const Value& value, const Value& key, Budget& budget);
// Pointers to members that lists, tuples and dicts store. nullptr if there is no such member or it
// is of another kind; the functions above then decide.
const Value* kept_attribute(const Value& value, const Member& member);
const Value* kept_item(const Value& value, const Value& key, Budget& budget);
// value[start:stop:step]. Omitted bounds are none.
Value get_slice(const Value& value, const Value& start, const Value& stop, const Value& step,
                Budget& budget);
bool contains(const Value& container, const Value& item, Budget& budget);

Value call_value(const Value& callee, Arguments& arguments, Budget& budget);

// Assigns arguments to parameters. `names` are those of the function's parameters; the first
// `required` of them must be given, and others that are not given are undefined. Fails for
// arguments that the function does not have.
ValueList bind(const char* function, Arguments& arguments, std::initializer_list<const char*> names,
               size_t required);
// Arguments as numbers; an undefined (omitted) one gives the default.
Int integer_or(const Value& value, Int fallback, const char* what);
bool bool_or(const Value& value, bool fallback);

}  // namespace longshot::tokenizer::jinja
