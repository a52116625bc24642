#include "tokenizer/jinja/loop.h"

#include <algorithm>

namespace longshot::tokenizer::jinja {
namespace {

struct LoopMethod : Callable {
  enum class Kind { cycle, changed, recurse } kind = Kind::cycle;
  Ref<Loop> loop;

  Value call(Arguments& arguments, Budget& budget) override {
    if (kind == Kind::recurse) return loop->recurse(arguments);
    return kind == Kind::cycle ? loop->cycle(arguments) : loop->changed(arguments, budget);
  }
};

}  // namespace

Loop::Loop(Items items, Test test, Recurse recurse, int depth0)
    : items_(std::move(items)),
      test_(std::move(test)),
      recurse_(std::move(recurse)),
      depth0_(depth0) {
  if (!test_) length_ = static_cast<int64_t>(items_->size());
  depth = depth_over(*items_);
}

bool Loop::fetch(Value* out) {
  while (next_ < items_->size()) {
    const Value& item = (*items_)[next_++];
    if (test_ && !test_(item)) continue;
    *out = item;
    return true;
  }
  return false;
}

bool Loop::peek() {
  if (!has_after_) has_after_ = fetch(&after_);
  return has_after_;
}

bool Loop::advance() {
  Value next;
  if (has_after_) {
    next = std::move(after_);
    has_after_ = false;
  } else if (!fetch(&next)) {
    return false;
  }
  ++index0_;
  before_ = std::move(current_);
  current_ = std::move(next);
  return true;
}

void Loop::forget() {
  last_value_ = Value();
  test_ = nullptr;
  recurse_ = nullptr;
}

// With a condition the number of items is unknown, so all remaining items are fetched and counted.
int64_t Loop::length() {
  if (length_ >= 0) return length_;
  Values rest;
  for (Value item; fetch(&item);) rest.push_back(item);
  length_ = static_cast<int64_t>(rest.size()) + index0_ + 1 + (has_after_ ? 1 : 0);
  items_ = Items(std::move(rest));
  next_ = 0;
  test_ = nullptr;
  return length_;
}

bool Loop::attribute(std::string_view name, Value* out) {
  const auto number = [&](int64_t value) {
    *out = Value::integer(value);
    return true;
  };
  if (name == "first") {
    *out = Value::boolean(index0_ == 0);
  } else if (name == "last") {
    *out = Value::boolean(!peek());
  } else if (name == "index") {
    return number(index0_ + 1);
  } else if (name == "index0") {
    return number(index0_);
  } else if (name == "length") {
    return number(length());
  } else if (name == "revindex") {
    return number(length() - index0_);
  } else if (name == "revindex0") {
    return number(length() - index0_ - 1);
  } else if (name == "depth" || name == "depth0") {
    return number(depth0_ + (name == "depth" ? 1 : 0));
  } else if (name == "previtem") {
    *out = index0_ == 0 ? Value::undefined("there is no previous item") : before_;
  } else if (name == "nextitem") {
    *out = peek() ? after_ : Value::undefined("there is no next item");
  } else if (name == "cycle" || name == "changed" || name == "__call__") {
    const auto method = make_object<LoopMethod>();
    method->kind = name == "cycle"     ? LoopMethod::Kind::cycle
                   : name == "changed" ? LoopMethod::Kind::changed
                                       : LoopMethod::Kind::recurse;
    method->loop = Ref<Loop>(this);
    method->depth = depth + 1;
    *out = Value::object(Type::callable, method);
  } else {
    return false;
  }
  return true;
}

Value Loop::cycle(Arguments& arguments) {
  if (!arguments.named.empty()) fail("cycle() takes no keyword arguments");
  if (arguments.positional.empty()) fail("no items for cycling given");
  return arguments.positional[static_cast<size_t>(index0_) % arguments.positional.size()];
}

Value Loop::changed(Arguments& arguments, Budget& budget) {
  if (!arguments.named.empty()) fail("changed() takes no keyword arguments");
  const Value value = Value::tuple(arguments.positional.take());
  if (was_called_ && equal(value, last_value_, budget)) return Value::boolean(false);
  was_called_ = true;
  last_value_ = value;
  return Value::boolean(true);
}

Value Loop::recurse(Arguments& arguments) {
  if (!recurse_) fail("The loop must have the 'recursive' marker to be called recursively.");
  const ValueList given = bind("loop()", arguments, {"iterable"}, 1);
  return recurse_(given[0]);
}

}  // namespace longshot::tokenizer::jinja
