// Macros, call blocks, and calls of both.
#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/scope_guards.h"

namespace longshot::tokenizer::jinja {
namespace {

struct Macro : Callable {
  Interpreter* owner = nullptr;
  const Node* node = nullptr;
  Ref<Activation> made_in;

  Value call(Arguments& arguments, Budget& budget) override {
    return owner->call_macro(*node, made_in, arguments);
  }
  bool attribute(std::string_view name, Value* out) override {
    if (name != "name") return false;
    *out = Value::string(node->signature->name);
    return true;
  }
};

}  // namespace

Value Interpreter::make_macro(const Node& node) {
  for (Activation* at = activation_.get(); at != nullptr && !at->captured; at = at->outer.get()) {
    at->captured = true;
    captured_.emplace_back(at);
  }
  const auto macro = make_object<Macro>();
  macro->owner = this;
  macro->node = &node;
  macro->made_in = activation_;
  return Value::object(Type::callable, macro);
}

void Interpreter::execute_macro(const Node& node) {
  at(node.place) = make_macro(node);
  publish(node);
}

void Interpreter::execute_call_block(const Node& node) {
  const Node& call = *node.kids[0];
  const Value callee = evaluate(*call.kids[0]);
  Arguments arguments = evaluate_arguments(call.arguments.get());
  arguments.named.emplace_back("caller", make_macro(node));
  line_ = call.line;
  const Value text = call_value(callee, arguments, budget_);
  write(text);
}

// Binds positional arguments, then named ones, then defaults. `extra` receives the remaining
// positional arguments.
void Interpreter::bind_parameters(const Signature& signature, Arguments& arguments, Values& extra) {
  const size_t count = signature.parameters.size(), given = arguments.positional.size();
  const size_t first_default = count - signature.defaults.size();
  auto& named = arguments.named;
  std::vector<size_t> absent;
  for (size_t i = 0; i < count; ++i) {
    if (i < given) {
      slot(signature.slots[i]) = std::move(arguments.positional[i]);
      continue;
    }
    const std::string& name = program_.names[static_cast<size_t>(signature.parameters[i])];
    const auto found = std::find_if(named.begin(), named.end(),
                                    [&](const auto& argument) { return argument.first == name; });
    if (found == named.end()) {
      absent.push_back(i);
      continue;
    }
    slot(signature.slots[i]) = std::move(found->second);
    named.erase(found);
  }
  for (const size_t i : absent)
    slot(signature.slots[i]) =
        i >= first_default
            ? evaluate(*signature.defaults[i - first_default])
            : Value::undefined("parameter '" +
                               program_.names[static_cast<size_t>(signature.parameters[i])] +
                               "' was not provided");
  for (size_t i = count; i < given; ++i) extra.push_back(std::move(arguments.positional[i]));
}

// Binds the special variables caller, kwargs and varargs if the body reads them. Fails if any
// argument is left over.
void Interpreter::bind_extras(const Signature& signature, Arguments& arguments, Values extra) {
  auto& named = arguments.named;
  const auto caller =
      std::find_if(named.begin(), named.end(), [](const auto& a) { return a.first == "caller"; });
  if (signature.uses_caller) {
    slot(signature.caller_slot) =
        caller == named.end() ? Value::undefined("No caller defined") : std::move(caller->second);
    if (caller != named.end()) named.erase(caller);
  }
  if (signature.uses_kwargs) {
    Values keys, values;
    for (auto& [name, value] : named) {
      keys.push_back(Value::string(name));
      values.push_back(std::move(value));
    }
    slot(signature.kwargs_slot) = make_dict(std::move(keys), std::move(values), budget_);
  } else if (!named.empty()) {
    fail(fmt::format("macro '{}' takes no keyword argument '{}'", signature.name, named[0].first));
  }
  if (signature.uses_varargs) {
    slot(signature.varargs_slot) = Value::tuple(std::move(extra));
  } else if (!extra.empty()) {
    fail(fmt::format("macro '{}' takes not more than {} argument(s)", signature.name,
                     signature.parameters.size()));
  }
}

Value Interpreter::call_macro(const Node& node, const Ref<Activation>& made_in,
                              Arguments& arguments) {
  const Budget::Depth guard(budget_);
  const int line = line_;
  const Call call(*this, *node.frame, made_in);
  Capture capture(*this);
  enter(*node.frame);
  Values extra;
  bind_parameters(*node.signature, arguments, extra);
  bind_extras(*node.signature, arguments, std::move(extra));
  execute(node.body);
  line_ = line;
  return Value::string(std::move(capture.text));
}

}  // namespace longshot::tokenizer::jinja
