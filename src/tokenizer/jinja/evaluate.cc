// Expressions.
#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/jinja/interpreter.h"

namespace longshot::tokenizer::jinja {
namespace {

bool ordered(CompareOp op, Order order) {
  switch (op) {
    case CompareOp::less:
      return order == Order::less;
    case CompareOp::less_equal:
      return order == Order::less || order == Order::equal;
    case CompareOp::greater:
      return order == Order::greater;
    default:
      return order == Order::greater || order == Order::equal;
  }
}

bool holds(CompareOp op, const Value& a, const Value& b, Budget& budget) {
  constexpr std::array<const char*, 6> kSymbols = {"==", "!=", "<", "<=", ">", ">="};
  switch (op) {
    case CompareOp::equal:
      return equal(a, b, budget);
    case CompareOp::not_equal:
      return !equal(a, b, budget);
    case CompareOp::in:
      return contains(b, a, budget);
    case CompareOp::not_in:
      return !contains(b, a, budget);
    default:
      return ordered(op, compare(a, b, kSymbols[static_cast<size_t>(op)], budget));
  }
}

}  // namespace

Value Interpreter::evaluate(const Node& node) {
  if (node.kind == NodeKind::constant) return node.value;
  if (node.kind == NodeKind::name) return evaluate_name(node);
  budget_.charge(1);
  const Budget::Depth depth(budget_);
  return evaluate_inner(node);
}

Value Interpreter::evaluate_inner(const Node& node) {
  switch (node.kind) {
    case NodeKind::tuple:
      return Value::tuple(evaluate_all(node.kids));
    case NodeKind::list:
      return Value::list(evaluate_all(node.kids));
    case NodeKind::dict:
      return evaluate_dict(node);
    case NodeKind::attribute: {
      const Value owner = evaluate(*node.kids[0]);
      line_ = node.line;
      return get_attribute(owner, node.value, budget_);
    }
    case NodeKind::item: {
      const Value owner = evaluate(*node.kids[0]);
      const Value key = evaluate(*node.kids[1]);
      line_ = node.line;
      return get_item(owner, key, budget_);
    }
    case NodeKind::slice:
      return evaluate_slice(node);
    case NodeKind::call:
      return evaluate_call(node);
    case NodeKind::filter:
      return evaluate_filter(node, Value());
    case NodeKind::test:
      return evaluate_test(node);
    case NodeKind::negation:
      return Value::boolean(!truthy(evaluate(*node.kids[0])));
    case NodeKind::minus:
      return negate(evaluate(*node.kids[0]));
    case NodeKind::plus: {
      const Value value = negate(evaluate(*node.kids[0]));
      return negate(value);
    }
    case NodeKind::logical_and: {
      const Value left = evaluate(*node.kids[0]);
      return truthy(left) ? evaluate(*node.kids[1]) : left;
    }
    case NodeKind::logical_or: {
      const Value left = evaluate(*node.kids[0]);
      return truthy(left) ? left : evaluate(*node.kids[1]);
    }
    case NodeKind::compare:
      return evaluate_compare(node);
    case NodeKind::binary: {
      const Value left = evaluate(*node.kids[0]);
      const Value right = evaluate(*node.kids[1]);
      line_ = node.line;
      return arithmetic(node.op, left, right, budget_);
    }
    case NodeKind::concat:
      return evaluate_concat(node);
    case NodeKind::conditional:
      return evaluate_conditional(node);
    default:
      fail("this expression is not supported");
  }
}

Value Interpreter::evaluate_name(const Node& node) {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get())
    if (const Value* found = scope->find(node.id); found != nullptr) return *found;
  return Value::undefined_name(&program_.names[static_cast<size_t>(node.id)]);
}

Values Interpreter::evaluate_all(const Nodes& nodes) {
  Values values;
  values.reserve(nodes.size());
  for (const NodePtr& node : nodes) values.push_back(evaluate(*node));
  return values;
}

Value Interpreter::evaluate_dict(const Node& node) {
  Values keys, values;
  for (size_t i = 0; i < node.kids.size(); i += 2) {
    keys.push_back(evaluate(*node.kids[i]));
    values.push_back(evaluate(*node.kids[i + 1]));
  }
  return make_dict(std::move(keys), std::move(values), budget_);
}

Value Interpreter::evaluate_slice(const Node& node) {
  const Value owner = evaluate(*node.kids[0]);
  const auto bound = [&](size_t i) {
    return node.kids[i] == nullptr ? Value::none() : evaluate(*node.kids[i]);
  };
  const Value start = bound(1), stop = bound(2), step = bound(3);
  line_ = node.line;
  return get_slice(owner, start, stop, step, budget_);
}

Value Interpreter::evaluate_compare(const Node& node) {
  Value left = evaluate(*node.kids[0]);
  for (size_t i = 0; i < node.ops.size(); ++i) {
    Value right = evaluate(*node.kids[i + 1]);
    line_ = node.line;
    if (!holds(node.ops[i], left, right, budget_)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::evaluate_concat(const Node& node) {
  std::string text;
  for (const NodePtr& kid : node.kids) append_str(evaluate(*kid), text, budget_);
  budget_.charge_bytes(text.size());
  return Value::string(std::move(text));
}

Value Interpreter::evaluate_conditional(const Node& node) {
  if (truthy(evaluate(*node.kids[1]))) return evaluate(*node.kids[0]);
  if (node.kids[2] != nullptr) return evaluate(*node.kids[2]);
  return Value::undefined(
      fmt::format("the inline if-expression on line {} evaluated to false and no else section "
                  "was defined.",
                  node.line));
}

// A method of a text or dict is called without making a value of it first.
Value Interpreter::evaluate_call(const Node& node) {
  const Node& callee = *node.kids[0];
  if (callee.kind != NodeKind::attribute) {
    const Value function = evaluate(callee);
    Arguments arguments = evaluate_arguments(node.arguments.get());
    line_ = node.line;
    return call_value(function, arguments, budget_);
  }
  const Value owner = evaluate(*callee.kids[0]);
  line_ = callee.line;
  const MethodBody method = find_method(owner, callee.value.text());
  const Value function =
      method == nullptr ? get_attribute(owner, callee.value, budget_) : Value();
  Arguments arguments = evaluate_arguments(node.arguments.get());
  line_ = node.line;
  return method != nullptr ? method(owner, arguments, budget_)
                           : call_value(function, arguments, budget_);
}

Value Interpreter::evaluate_filter(const Node& node, const Value& input) {
  const NodePtr& inner = node.kids[0];
  const Value value = inner == nullptr                       ? input
                      : inner->kind == NodeKind::filter ? evaluate_filter(*inner, input)
                                                             : evaluate(*inner);
  Arguments arguments = evaluate_arguments(node.arguments.get());
  line_ = node.line;
  if (node.filter == nullptr) fail(fmt::format("No filter named '{}' found.", node.callee));
  return node.filter(value, arguments, budget_);
}

Value Interpreter::evaluate_test(const Node& node) {
  const Value value = evaluate(*node.kids[0]);
  Arguments arguments = evaluate_arguments(node.arguments.get());
  line_ = node.line;
  if (node.test == nullptr) fail(fmt::format("No test named '{}' found.", node.callee));
  return Value::boolean(node.test(value, arguments, budget_));
}

Arguments Interpreter::evaluate_arguments(const CallArguments* given) {
  Arguments out;
  if (given == nullptr) return out;
  out.positional = evaluate_all(given->positional);
  for (const auto& [name, node] : given->named) out.named.emplace_back(name, evaluate(*node));
  if (given->star != nullptr) {
    const auto items = items_of(evaluate(*given->star), budget_);
    out.positional.insert(out.positional.end(), items->begin(), items->end());
  }
  if (given->double_star == nullptr) return out;
  const Value more = evaluate(*given->double_star);
  if (!more.is(Type::dict)) fail("argument after ** must be a mapping, not " + type_name(more));
  for (const auto& [key, value] : more.dict().items) {
    if (!key.is(Type::string)) fail("keywords must be strings");
    out.named.emplace_back(key.text(), value);
  }
  return out;
}

}  // namespace longshot::tokenizer::jinja
