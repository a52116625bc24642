#pragma once
// The special variable `loop` of a for statement. It also fetches the items one by one: the
// condition of a for is evaluated when its item is needed, as in jinja2.

#include <functional>

#include "tokenizer/jinja/python/access.h"

namespace longshot::tokenizer::jinja {

class Loop : public Object {
 public:
  using Test = std::function<bool(const Value&)>;            // true: the item is used
  using Recurse = std::function<Value(const Value& items)>;  // loop(items); empty if not recursive

  Loop(Items items, Test test, Recurse recurse, int depth0);

  // Moves to the next item; false at the end.
  bool advance();
  const Value& item() const { return current_; }
  void forget();  // breaks cycles of references after the statement

  bool attribute(std::string_view name, Value* out) override;
  Value cycle(Arguments& arguments);
  Value changed(Arguments& arguments, Budget& budget);
  Value recurse(Arguments& arguments);

 private:
  bool fetch(Value* out);
  bool peek();
  int64_t length();

  Items items_;
  Test test_;
  Recurse recurse_;
  int depth0_;
  size_t next_ = 0;
  int64_t index0_ = -1, length_ = -1;
  bool has_after_ = false;
  Value current_, before_, after_;
  bool was_called_ = false;
  Value last_value_;
};

}  // namespace longshot::tokenizer::jinja
