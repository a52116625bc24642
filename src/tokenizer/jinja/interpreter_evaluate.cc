// The interpreter's expressions.
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

bool compare_by(CompareOp op, const Value& a, const Value& b, Budget& budget) {
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

const Value& Interpreter::look(const Node& node, Value& hold) {
  switch (node.kind) {
    case NodeKind::constant:
      return node.value;
    case NodeKind::name: {
      const Value& variable = at(node.place);
      if (!variable.is_unset()) return variable;
      hold = Value::undefined_name(&program_.names[static_cast<size_t>(node.id)]);
      return hold;
    }
    case NodeKind::attribute:
      return look_at_attribute(node, hold);
    case NodeKind::item:
      return look_at_item(node, hold);
    default: {
      budget_.charge(1);
      const Budget::Depth depth(budget_);
      hold = compute(node);
      return hold;
    }
  }
}

// A member of a stored value is stored too. A member of a computed value must be copied, because
// its owner ends with this function.
const Value& Interpreter::look_at_attribute(const Node& node, Value& hold) {
  budget_.charge(1);
  Value computed;
  const Value& owner = look(*node.kids[0], computed);
  line_ = node.line;
  const Value* kept = kept_attribute(owner, *node.member);
  if (kept != nullptr && &owner != &computed) return *kept;
  hold = kept != nullptr ? *kept : get_attribute(owner, *node.member, budget_);
  return hold;
}

const Value& Interpreter::look_at_item(const Node& node, Value& hold) {
  budget_.charge(1);
  Value computed, computed_key;
  const Value& owner = look(*node.kids[0], computed);
  const Value& key = look(*node.kids[1], computed_key);
  line_ = node.line;
  const Value* kept = kept_item(owner, key, budget_);
  if (kept != nullptr && &owner != &computed) return *kept;
  hold = kept != nullptr ? *kept : get_item(owner, key, budget_);
  return hold;
}

Value Interpreter::evaluate(const Node& node) {
  Value hold;
  const Value& value = look(node, hold);
  return &value == &hold ? std::move(hold) : value;
}

Value Interpreter::compute(const Node& node) {
  Value hold, hold_key;
  switch (node.kind) {
    case NodeKind::tuple:
      return Value::tuple(evaluate_all(node.kids));
    case NodeKind::list:
      return Value::list(evaluate_all(node.kids));
    case NodeKind::dict:
      return evaluate_dict(node);
    case NodeKind::slice:
      return evaluate_slice(node);
    case NodeKind::call:
      return evaluate_call(node);
    case NodeKind::filter:
      return evaluate_filter(node, Value());
    case NodeKind::test:
    case NodeKind::negation:
    case NodeKind::compare:
      return Value::boolean(holds(node));
    case NodeKind::minus:
      return negate(look(*node.kids[0], hold));
    case NodeKind::plus:
      return negate(negate(look(*node.kids[0], hold)));
    case NodeKind::logical_and:
    case NodeKind::logical_or: {
      const Value& left = look(*node.kids[0], hold);
      const bool decided = truthy(left) == (node.kind == NodeKind::logical_or);
      return decided ? left : evaluate(*node.kids[1]);
    }
    case NodeKind::sum: {
      std::string text;
      return append_sum(node, text, hold) ? Value::string(std::move(text)) : std::move(hold);
    }
    case NodeKind::binary: {
      const Value& left = look(*node.kids[0], hold);
      const Value& right = look(*node.kids[1], hold_key);
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

bool Interpreter::holds(const Node& node) {
  Value hold;
  switch (node.kind) {
    case NodeKind::test:
      return evaluate_test(node);
    case NodeKind::negation:
      return !holds(*node.kids[0]);
    case NodeKind::logical_and:
      return holds(*node.kids[0]) && holds(*node.kids[1]);
    case NodeKind::logical_or:
      return holds(*node.kids[0]) || holds(*node.kids[1]);
    case NodeKind::compare:
      return compares(node);
    default:
      return truthy(look(node, hold));
  }
}

bool Interpreter::append_sum(const Node& node, std::string& out, Value& rest) {
  const size_t begin = out.size();
  Value hold;
  for (size_t i = 0; i < node.kids.size(); ++i) {
    const Value& operand = look(*node.kids[i], hold);
    if (operand.is_plain_text()) {
      out += operand.text();
      continue;
    }
    line_ = node.line;
    rest = i == 0 ? operand
                  : arithmetic(BinaryOp::add, Value::string(out.substr(begin)), operand, budget_);
    out.resize(begin);
    while (++i < node.kids.size())
      rest = arithmetic(BinaryOp::add, rest, look(*node.kids[i], hold), budget_);
    return false;
  }
  line_ = node.line;
  budget_.charge_bytes(out.size() - begin);
  return true;
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

bool Interpreter::compares(const Node& node) {
  Value hold_left, hold_right;
  const Value* left = &look(*node.kids[0], hold_left);
  for (size_t i = 0; i < node.ops.size(); ++i) {
    const Value& right = look(*node.kids[i + 1], hold_right);
    line_ = node.line;
    if (!compare_by(node.ops[i], *left, right, budget_)) return false;
    if (i + 1 == node.ops.size()) break;
    hold_left = right;
    left = &hold_left;
  }
  return true;
}

Value Interpreter::evaluate_concat(const Node& node) {
  std::string text;
  Value hold;
  for (const NodePtr& kid : node.kids) append_str(look(*kid, hold), text, budget_);
  budget_.charge_bytes(text.size());
  return Value::string(std::move(text));
}

Value Interpreter::evaluate_conditional(const Node& node) {
  if (holds(*node.kids[1])) return evaluate(*node.kids[0]);
  if (node.kids[2] != nullptr) return evaluate(*node.kids[2]);
  return Value::undefined(
      fmt::format("the inline if-expression on line {} evaluated to false and no else section "
                  "was defined.",
                  node.line));
}

// Calls a method directly, without creating a value for the bound method.
Value Interpreter::evaluate_call(const Node& node) {
  const Node& callee = *node.kids[0];
  if (callee.kind != NodeKind::attribute) {
    const Value function = evaluate(callee);
    Arguments arguments = evaluate_arguments(node.arguments.get());
    line_ = node.line;
    return call_value(function, arguments, budget_);
  }
  Value hold;
  const Value& owner = look(*callee.kids[0], hold);
  line_ = callee.line;
  const MethodBody method = callee.member->method_of(owner);
  const Value function =
      method == nullptr ? get_attribute(owner, *callee.member, budget_) : Value();
  Arguments arguments = evaluate_arguments(node.arguments.get());
  line_ = node.line;
  return method != nullptr ? method(owner, arguments, budget_)
                           : call_value(function, arguments, budget_);
}

Value Interpreter::evaluate_filter(const Node& node, const Value& input) {
  const NodePtr& inner = node.kids[0];
  Value hold;
  if (inner != nullptr && inner->kind == NodeKind::filter) hold = evaluate_filter(*inner, input);
  const bool looks = inner != nullptr && inner->kind != NodeKind::filter;
  const Value& value = inner == nullptr ? input : looks ? look(*inner, hold) : hold;
  Arguments arguments = evaluate_arguments(node.arguments.get());
  line_ = node.line;
  if (node.filter == nullptr) fail(fmt::format("No filter named '{}' found.", node.callee));
  return node.filter(value, arguments, budget_);
}

bool Interpreter::evaluate_test(const Node& node) {
  Value hold;
  const Value& value = look(*node.kids[0], hold);
  if (node.test != nullptr && node.test->alone != nullptr && node.arguments == nullptr)
    return node.test->alone(value);
  Arguments arguments = evaluate_arguments(node.arguments.get());
  line_ = node.line;
  if (node.test == nullptr) fail(fmt::format("No test named '{}' found.", node.callee));
  return node.test->body(value, arguments, budget_);
}

Arguments Interpreter::evaluate_arguments(const CallArguments* given) {
  Arguments out;
  if (given == nullptr) return out;
  for (const NodePtr& node : given->positional) out.positional.push_back(evaluate(*node));
  if (!given->named.empty() || given->star != nullptr || given->double_star != nullptr)
    evaluate_rest(*given, out);
  return out;
}

void Interpreter::evaluate_rest(const CallArguments& given, Arguments& out) {
  out.named.reserve(given.named.size());
  for (const auto& [name, node] : given.named) out.named.emplace_back(name, evaluate(*node));
  if (given.star != nullptr) {
    const Items items = items_of(evaluate(*given.star), budget_);
    for (const Value& item : *items) out.positional.push_back(item);
  }
  if (given.double_star == nullptr) return;
  const Value more = evaluate(*given.double_star);
  if (!more.is(Type::dict)) fail("argument after ** must be a mapping, not " + type_name(more));
  for (const auto& [key, value] : more.dict().items) {
    if (!key.is(Type::string)) fail("keywords must be strings");
    out.named.emplace_back(key.text(), value);
  }
}

}  // namespace longshot::tokenizer::jinja
