#include "tokenizer/jinja/globals.h"

#include <array>
#include <ctime>

#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/python/text_methods.h"

namespace longshot::tokenizer::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // jinja2's sandbox has the same

using FunctionBody = Value (*)(Arguments& arguments, Budget& budget);
struct GlobalFunction : Callable {
  FunctionBody body = nullptr;
  Value call(Arguments& arguments, Budget& budget) override { return body(arguments, budget); }
};

Value make_range(Arguments& arguments, Budget& budget) {
  if (!arguments.named.empty()) fail("range() takes no keyword arguments");
  const size_t count = arguments.positional.size();
  if (count == 0 || count > 3) fail("range expected 1 to 3 arguments");
  const auto range = make_object<Range>();
  const auto number = [&](size_t i) {
    const Value& value = arguments.positional[i];
    if (!value.is(Type::integer) && !value.is(Type::boolean))
      fail("'" + type_name(value) + "' object cannot be interpreted as an integer");
    return value.as_int();
  };
  if (count > 1) range->start = number(0);
  range->stop = number(count > 1 ? 1 : 0);
  if (count > 2) range->step = number(2);
  if (range->step == 0) fail("range() arg 3 must not be zero");
  constexpr Int kFar = Int{1} << 62;
  for (const Int bound : {range->start, range->stop, range->step})
    if (bound > kFar || bound < -kFar) fail("Range too big.");
  if (range->size() > kMaxRange)
    fail("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  return Value::object(Type::range, range);
}

// dict(mapping or pairs, **named).
Value make_dict_of(Arguments& arguments, Budget& budget) {
  Values keys, values;
  if (arguments.positional.size() > 1) fail("dict expected at most 1 argument");
  if (!arguments.positional.empty()) {
    const Value& given = arguments.positional[0];
    if (given.is(Type::dict)) {
      for (const auto& [key, value] : given.dict().items) {
        keys.push_back(key);
        values.push_back(value);
      }
    } else {
      const Items pair_items = items_of(given, budget);
      for (const Value& pair : *pair_items) {
        const Items parts = items_of(pair, budget);
        if (parts->size() != 2) fail("a dict is made of pairs");
        keys.push_back((*parts)[0]);
        values.push_back((*parts)[1]);
      }
    }
  }
  for (auto& [name, value] : arguments.named) {
    keys.push_back(Value::string(name));
    values.push_back(std::move(value));
  }
  return make_dict(std::move(keys), std::move(values), budget);
}

Value raise_exception(Arguments& arguments, Budget& budget) {
  const ValueList given = bind("raise_exception()", arguments, {"message"}, 1);
  fail("the template refuses this chat: " + str(given[0], budget));
}

Value refuse_lipsum(Arguments& arguments, Budget& budget) {
  fail("the function 'lipsum' is not supported: a prompt must not depend on chance");
}

struct Cycler : Callable {
  Values items;
  size_t position = 0;
  Value call(Arguments& arguments, Budget& budget) override { fail("a cycler is not callable"); }
  bool attribute(std::string_view name, Value* out) override;
};

struct CyclerMethod : Callable {
  Ref<Object> cycler;
  bool next = false;
  Value call(Arguments& arguments, Budget& budget) override {
    bind("next()", arguments, {}, 0);
    auto& owner = static_cast<Cycler&>(*cycler);
    if (!next) {
      owner.position = 0;
      return Value::none();
    }
    const Value item = owner.items[owner.position];
    owner.position = (owner.position + 1) % owner.items.size();
    return item;
  }
};

bool Cycler::attribute(std::string_view name, Value* out) {
  if (name == "current") {
    *out = items[position];
    return true;
  }
  if (name != "next" && name != "reset") return false;
  const auto method = make_object<CyclerMethod>();
  method->cycler = Ref<Object>(this);
  method->next = name == "next";
  method->depth = depth + 1;
  *out = Value::object(Type::callable, method);
  return true;
}

Value make_cycler(Arguments& arguments, Budget& budget) {
  if (!arguments.named.empty()) fail("cycler() takes no keyword arguments");
  if (arguments.positional.empty()) fail("at least one item has to be provided");
  const auto cycler = make_object<Cycler>();
  cycler->items = arguments.positional.take();
  cycler->depth = depth_over(cycler->items);
  return Value::object(Type::callable, cycler);
}

struct Joiner : Callable {
  Value separator;
  bool used = false;
  Value call(Arguments& arguments, Budget& budget) override {
    bind("joiner()", arguments, {}, 0);
    return std::exchange(used, true) ? separator : Value::string("");
  }
};

Value make_joiner(Arguments& arguments, Budget& budget) {
  ValueList given = bind("joiner()", arguments, {"sep"}, 0);
  const auto joiner = make_object<Joiner>();
  joiner->separator = given[0].is(Type::undefined) ? Value::string(", ") : given[0];
  joiner->depth = joiner->separator.depth() + 1;
  return Value::object(Type::callable, joiner);
}

Value make_namespace(Arguments& arguments, Budget& budget) {
  constexpr int64_t kSteps = 16;  // a namespace is kept until the end of the rendering
  budget.charge(kSteps + static_cast<int64_t>(arguments.named.size()));
  const auto space = make_object<Space>();
  const auto check = [](const std::string& name) {
    if (name.starts_with("_")) fail("a namespace's attribute must not begin with '_': " + name);
  };
  if (arguments.positional.empty()) {
    space->items.reserve(arguments.named.size());
    for (auto& [name, value] : arguments.named) {
      check(name);
      space->set(name, std::move(value));
    }
  } else {
    const Value given = make_dict_of(arguments, budget);
    for (const auto& [key, value] : given.dict().items) {
      if (!key.is(Type::string)) fail("a namespace's attributes have names");
      check(key.text());
      space->items.emplace_back(key.text(), value);
    }
  }
  budget.spaces.push_back(space);
  return Value::object(Type::space, space);
}

Value strftime_now(Arguments& arguments, Budget& budget) {
  const ValueList given = bind("strftime_now()", arguments, {"format"}, 1);
  const std::time_t now = budget.now != 0 ? budget.now : std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  const std::string format = text_of(given[0], "strftime_now()'s format");
  if (format.size() > 1000) fail("strftime_now()'s format is too long");
  std::array<char, 16384> out;
  const size_t size = std::strftime(out.data(), out.size(), format.c_str(), &local);
  return Value::string(std::string(out.data(), size));
}

}  // namespace

const Value* find_global(std::string_view name) {
  const auto made = [](FunctionBody body) {
    const auto function = make_object<GlobalFunction>();
    function->body = body;
    return Frozen(Value::object(Type::callable, function));
  };
  static const std::array<std::pair<std::string_view, Frozen>, 8> functions = {
      {{"range", made(make_range)},
       {"dict", made(make_dict_of)},
       {"namespace", made(make_namespace)},
       {"raise_exception", made(raise_exception)},
       {"strftime_now", made(strftime_now)},
       {"cycler", made(make_cycler)},
       {"joiner", made(make_joiner)},
       {"lipsum", made(refuse_lipsum)}}};
  for (const auto& [known, function] : functions)
    if (name == known) return &function.value();
  return nullptr;
}

}  // namespace longshot::tokenizer::jinja
