// Macros, call blocks and their calls.
#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/scope_guards.h"

namespace longshot::tokenizer::jinja {
namespace {

struct Macro : Callable {
  Interpreter* owner = nullptr;
  const Node* node = nullptr;
  ScopePtr scope;

  Value call(Arguments& arguments, Budget& budget) override {
    return owner->call_macro(*node->signature, node->body, scope, arguments);
  }
  bool attribute(std::string_view name, Value* out) override {
    if (name != "name") return false;
    *out = Value::string(node->signature->name);
    return true;
  }
};

Value make_macro(Interpreter& owner, const Node& node, const ScopePtr& scope) {
  auto macro = std::make_shared<Macro>();
  macro->owner = &owner;
  macro->node = &node;
  macro->scope = scope;
  return Value::object(Type::callable, std::move(macro));
}

}  // namespace

void Interpreter::execute_macro(const Node& node) {
  if (captured_.empty() || captured_.back() != scope_) captured_.push_back(scope_);
  scope_->set(node.id, make_macro(*this, node, scope_));
}

void Interpreter::execute_call_block(const Node& node) {
  const Node& call = *node.kids[0];
  const Value callee = evaluate(*call.kids[0]);
  Arguments arguments = evaluate_arguments(call.arguments.get());
  arguments.named.emplace_back("caller", make_macro(*this, node, scope_));
  line_ = call.line;
  const Value text = call_value(callee, arguments, budget_);
  write(text);
}

// Positional arguments, then named ones, then defaults; `extra` gets the positional ones left.
void Interpreter::bind_parameters(const Signature& signature, Arguments& arguments,
                                  Values& extra) {
  const size_t count = signature.parameters.size(), given = arguments.positional.size();
  const size_t first_default = count - signature.defaults.size();
  for (size_t i = 0; i < count; ++i) {
    const int id = signature.parameters[i];
    const std::string& name = program_.names[static_cast<size_t>(id)];
    if (i < given) {
      scope_->set(id, std::move(arguments.positional[i]));
      continue;
    }
    const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& argument) { return argument.first == name; });
    if (named != arguments.named.end()) {
      scope_->set(id, std::move(named->second));
      arguments.named.erase(named);
    } else if (i >= first_default) {
      scope_->set(id, evaluate(*signature.defaults[i - first_default]));
    } else {
      scope_->set(id, Value::undefined("parameter '" + name + "' was not provided"));
    }
  }
  for (size_t i = count; i < given; ++i) extra.push_back(std::move(arguments.positional[i]));
}

Value Interpreter::call_macro(const Signature& signature, const Nodes& body,
                              const ScopePtr& scope, Arguments& arguments) {
  const Budget::Depth guard(budget_);
  const int line = line_;
  const Enter enter(*this, scope);
  Capture capture(*this);
  Values extra;
  bind_parameters(signature, arguments, extra);
  auto& named = arguments.named;
  const auto caller = std::find_if(named.begin(), named.end(),
                                   [](const auto& a) { return a.first == "caller"; });
  if (signature.uses_caller) {
    scope_->set(program_.caller, caller == named.end() ? Value::undefined("No caller defined")
                                                       : std::move(caller->second));
    if (caller != named.end()) named.erase(caller);
  }
  if (signature.uses_kwargs) {
    Values keys, values;
    for (auto& [name, value] : named) {
      keys.push_back(Value::string(name));
      values.push_back(std::move(value));
    }
    scope_->set(program_.kwargs, make_dict(std::move(keys), std::move(values), budget_));
  } else if (!named.empty()) {
    fail(fmt::format("macro '{}' takes no keyword argument '{}'", signature.name, named[0].first));
  }
  if (signature.uses_varargs) {
    scope_->set(program_.varargs, Value::tuple(std::move(extra)));
  } else if (!extra.empty()) {
    fail(fmt::format("macro '{}' takes not more than {} argument(s)", signature.name,
                     signature.parameters.size()));
  }
  execute(body);
  line_ = line;
  return Value::string(std::move(capture.text));
}

}  // namespace longshot::tokenizer::jinja
