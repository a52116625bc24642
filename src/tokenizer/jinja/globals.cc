// The functions that every chat template may call.
#include <array>
#include <ctime>

#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/python/text_methods.h"

namespace longshot::tokenizer::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // jinja2's sandbox has the same

using FunctionBody = Value (*)(Arguments& arguments, Budget& budget);
struct Function : Callable {
  FunctionBody body = nullptr;
  Value call(Arguments& arguments, Budget& budget) override { return body(arguments, budget); }
};

Value make_range(Arguments& arguments, Budget& budget) {
  if (!arguments.named.empty()) fail("range() takes no keyword arguments");
  const size_t count = arguments.positional.size();
  if (count == 0 || count > 3) fail("range expected 1 to 3 arguments");
  auto range = std::make_shared<Range>();
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
  return Value::object(Type::range, std::move(range));
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
      const auto pair_items = items_of(given, budget);
      for (const Value& pair : *pair_items) {
        const auto parts = items_of(pair, budget);
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
  const Values given = bind("raise_exception()", arguments, {"message"}, 1);
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
  std::shared_ptr<Object> cycler;
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

struct SharedCycler : Cycler, std::enable_shared_from_this<SharedCycler> {};

bool Cycler::attribute(std::string_view name, Value* out) {
  if (name == "current") {
    *out = items[position];
    return true;
  }
  if (name != "next" && name != "reset") return false;
  auto method = std::make_shared<CyclerMethod>();
  method->cycler = static_cast<SharedCycler*>(this)->shared_from_this();
  method->next = name == "next";
  method->depth = depth + 1;
  *out = Value::object(Type::callable, std::move(method));
  return true;
}

Value make_cycler(Arguments& arguments, Budget& budget) {
  if (!arguments.named.empty()) fail("cycler() takes no keyword arguments");
  if (arguments.positional.empty()) fail("at least one item has to be provided");
  auto cycler = std::make_shared<SharedCycler>();
  cycler->depth = depth_over(arguments.positional);
  cycler->items = std::move(arguments.positional);
  return Value::object(Type::callable, std::move(cycler));
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
  Values given = bind("joiner()", arguments, {"sep"}, 0);
  auto joiner = std::make_shared<Joiner>();
  joiner->separator = given[0].is(Type::undefined) ? Value::string(", ") : given[0];
  joiner->depth = joiner->separator.depth() + 1;
  return Value::object(Type::callable, std::move(joiner));
}

}  // namespace

struct NamespaceFunction : Callable {
  Interpreter* owner = nullptr;
  Value call(Arguments& arguments, Budget& budget) override {
    const Value given = make_dict_of(arguments, budget);
    auto space = std::make_shared<Space>();
    for (const auto& [key, value] : given.dict().items) {
      if (!key.is(Type::string)) fail("a namespace's attributes have names");
      if (key.text().starts_with("_"))
        fail("a namespace's attribute must not begin with '_': " + key.text());
      space->items.emplace_back(key.text(), value);
    }
    owner->spaces_.push_back(space);
    return Value::object(Type::space, std::move(space));
  }
};

struct ClockFunction : Callable {
  Interpreter* owner = nullptr;
  Value call(Arguments& arguments, Budget& budget) override {
    const Values given = bind("strftime_now()", arguments, {"format"}, 1);
    const std::time_t now =
        owner->options_.now != 0 ? owner->options_.now : std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    const std::string format = text_of(given[0], "strftime_now()'s format");
    if (format.size() > 1000) fail("strftime_now()'s format is too long");
    std::array<char, 16384> out;
    const size_t size = std::strftime(out.data(), out.size(), format.c_str(), &local);
    return Value::string(std::string(out.data(), size));
  }
};

Value make_global(const std::string& name, Interpreter& interpreter) {
  if (name == "namespace") {
    auto function = std::make_shared<NamespaceFunction>();
    function->owner = &interpreter;
    return Value::object(Type::callable, std::move(function));
  }
  if (name == "strftime_now") {
    auto function = std::make_shared<ClockFunction>();
    function->owner = &interpreter;
    return Value::object(Type::callable, std::move(function));
  }
  constexpr std::array<std::pair<const char*, FunctionBody>, 6> kFunctions = {
      {{"range", make_range},
       {"dict", make_dict_of},
       {"raise_exception", raise_exception},
       {"cycler", make_cycler},
       {"joiner", make_joiner},
       {"lipsum", refuse_lipsum}}};
  for (const auto& [known, body] : kFunctions) {
    if (name != known) continue;
    auto function = std::make_shared<Function>();
    function->body = body;
    return Value::object(Type::callable, std::move(function));
  }
  return {};
}

}  // namespace longshot::tokenizer::jinja
