// Statements.
#include "tokenizer/jinja/interpreter.h"

#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/jinja/loop.h"
#include "tokenizer/jinja/scope_guards.h"

namespace longshot::tokenizer::jinja {
namespace {

constexpr size_t kMaxOutput = size_t{64} << 20;

}  // namespace

const Value* Scope::find(int id) const {
  for (const auto& [name, value] : variables)
    if (name == id) return &value;
  return nullptr;
}

void Scope::set(int id, Value value) {
  for (auto& [name, present] : variables) {
    if (name != id) continue;
    present = std::move(value);
    return;
  }
  variables.emplace_back(id, std::move(value));
}

Interpreter::Interpreter(const Program& program, const Variables& variables,
                         const RenderOptions& options)
    : program_(program), options_(options), budget_(options.max_steps) {
  root_ = std::make_shared<Scope>();
  for (size_t id = 0; id < program.names.size(); ++id) {
    const std::string& name = program.names[id];
    const auto given = std::find_if(variables.begin(), variables.end(),
                                    [&](const auto& variable) { return variable.first == name; });
    Value value = given != variables.end() ? given->second : make_global(name, *this);
    if (!value.is(Type::undefined)) root_->set(static_cast<int>(id), std::move(value));
  }
  scope_ = std::make_shared<Scope>();
  scope_->parent = root_;
}

// Macros and their scopes, and namespaces, may refer to one another in circles.
Interpreter::~Interpreter() {
  for (const ScopePtr& scope : captured_) scope->variables.clear();
  for (const auto& space : spaces_) space->items.clear();
}

void Interpreter::run() {
  execute(program_.body);
}

Interpreter::Flow Interpreter::execute(const Nodes& nodes) {
  for (const NodePtr& node : nodes)
    if (const Flow flow = execute(*node); flow != Flow::normal) return flow;
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute(const Node& node) {
  budget_.charge(1);
  line_ = node.line;
  switch (node.kind) {
    case NodeKind::text:
      write(node.value);
      return Flow::normal;
    case NodeKind::output:
      for (const NodePtr& kid : node.kids) write(*kid);
      return Flow::normal;
    case NodeKind::for_loop:
      return execute_for(node);
    case NodeKind::branch:
      return execute_branch(node);
    case NodeKind::set:
      assign(*node.kids[0], evaluate(*node.kids[1]));
      return Flow::normal;
    case NodeKind::set_block:
      return execute_set_block(node);
    case NodeKind::macro:
      execute_macro(node);
      return Flow::normal;
    case NodeKind::call_block:
      execute_call_block(node);
      return Flow::normal;
    case NodeKind::filter_block:
      return execute_filter_block(node);
    case NodeKind::with_block:
      return execute_with(node);
    case NodeKind::block:
      return execute_block(node);
    case NodeKind::generation:
      return execute_generation(node);
    case NodeKind::break_loop:
      return Flow::break_loop;
    case NodeKind::continue_loop:
      return Flow::continue_loop;
    default:
      fail("this statement is not supported");
  }
}

void Interpreter::write(const Value& value) {
  append_str(value, *out_, budget_);
  if (out_->size() > kMaxOutput) fail("the template's output is too large");
}

// The operands of a + are written one after the other where all are plain texts, which spares
// the copies.
void Interpreter::write(const Node& node) {
  if (node.kind != NodeKind::binary || node.op != BinaryOp::add) return write(evaluate(node));
  std::vector<const Node*> parts;
  const Node* left = &node;
  for (; left->kind == NodeKind::binary && left->op == BinaryOp::add; left = left->kids[0].get())
    parts.push_back(left->kids[1].get());
  parts.push_back(left);
  Values values;
  values.reserve(parts.size());
  bool texts = true;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    values.push_back(evaluate(**part));
    texts = texts && values.back().is(Type::string) && !values.back().markup();
    if (texts || values.size() == 1) continue;
    if (values.size() > 1) {  // from here on by the rules of +
      Value sum = values[0];
      for (size_t i = 1; i < values.size(); ++i)
        sum = arithmetic(BinaryOp::add, sum, values[i], budget_);
      values = {std::move(sum)};
    }
  }
  line_ = node.line;
  for (const Value& value : values) write(value);
}

Interpreter::Flow Interpreter::execute_branch(const Node& node) {
  if (truthy(evaluate(*node.kids[0]))) return execute(node.body);
  for (size_t i = 1; i < node.kids.size(); ++i) {
    const Node& other = *node.kids[i];
    line_ = other.line;
    if (truthy(evaluate(*other.kids[0]))) return execute(other.body);
  }
  return execute(node.other);
}

Interpreter::Flow Interpreter::execute_for(const Node& node) {
  const Value items = evaluate(*node.kids[1]);
  return run_loop(node, items, 0);
}

bool Interpreter::passes(const Node& node, const Value& item) {
  const Enter scope(*this);
  assign(*node.kids[0], item);
  return truthy(evaluate(*node.kids[2]));
}

Interpreter::Flow Interpreter::run_loop(const Node& node, const Value& items, int depth) {
  const Budget::Depth guard(budget_);
  const ScopePtr outer = scope_;
  Loop::Test test;
  if (node.kids[2] != nullptr)
    test = [this, &node, outer](const Value& item) {
      const ScopePtr saved = std::exchange(scope_, outer);
      const bool taken = passes(node, item);
      scope_ = saved;
      return taken;
    };
  Loop::Recurse recurse;
  if (node.recursive)
    recurse = [this, &node, outer, depth](const Value& more) {
      return Value::string(render_loop(node, more, outer, depth + 1));
    };
  const auto loop = std::make_shared<Loop>(items_of(items, budget_), std::move(test),
                                           std::move(recurse), depth);
  const Value loop_value = Value::object(Type::loop, loop);
  bool completed = false;  // jinja2 runs the else branch if no pass reached its end
  while (loop->advance()) {
    const Enter scope(*this);
    scope_->set(program_.loop, loop_value);
    assign(*node.kids[0], loop->item());
    const Flow flow = execute(node.body);
    if (flow == Flow::break_loop) break;
    completed = completed || flow == Flow::normal;
  }
  loop->forget();
  if (completed || node.other.empty()) return Flow::normal;
  const Enter scope(*this);
  return execute(node.other);
}

std::string Interpreter::render_loop(const Node& node, const Value& items, const ScopePtr& scope,
                                     int depth) {
  const ScopePtr saved = std::exchange(scope_, scope);
  Capture capture(*this);
  run_loop(node, items, depth);
  scope_ = saved;
  return std::move(capture.text);
}

Interpreter::Flow Interpreter::execute_set_block(const Node& node) {
  Value text;
  {
    Capture capture(*this);
    const Enter scope(*this);
    if (const Flow flow = execute(node.body); flow != Flow::normal) return flow;
    text = Value::string(std::move(capture.text));
    if (node.kids[1] != nullptr) text = evaluate_filter(*node.kids[1], text);
  }
  assign(*node.kids[0], std::move(text));
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute_filter_block(const Node& node) {
  Value text;
  {
    Capture capture(*this);
    const Enter scope(*this);
    if (const Flow flow = execute(node.body); flow != Flow::normal) return flow;
    text = evaluate_filter(*node.kids[0], Value::string(std::move(capture.text)));
  }
  write(text);
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute_with(const Node& node) {
  Values values;
  for (size_t i = 1; i < node.kids.size(); i += 2) values.push_back(evaluate(*node.kids[i]));
  const Enter scope(*this);
  for (size_t i = 0; i < values.size(); ++i) assign(*node.kids[2 * i], std::move(values[i]));
  return execute(node.body);
}

// Blocks see the variables of the template's top, unless they are scoped.
Interpreter::Flow Interpreter::execute_block(const Node& node) {
  ScopePtr top = scope_;
  while (!node.scoped && top->parent != nullptr && top->parent != root_) top = top->parent;
  const Enter scope(*this, top);
  return execute(node.body);
}

Interpreter::Flow Interpreter::execute_generation(const Node& node) {
  const size_t begin = out_->size();
  const bool direct = out_ == &output;
  if (!direct) generations_known = false;
  const Enter scope(*this);
  execute(node.body);
  if (direct) generations.push_back({begin, out_->size()});
  return Flow::normal;
}

void Interpreter::assign(const Node& target, Value value) {
  if (target.kind == NodeKind::name) return scope_->set(target.id, std::move(value));
  if (target.kind == NodeKind::tuple) {
    const auto items = items_of(value, budget_);
    if (items->size() != target.kids.size())
      fail(fmt::format("{} values to unpack (expected {})",
                       items->size() < target.kids.size() ? "not enough" : "too many",
                       target.kids.size()));
    for (size_t i = 0; i < items->size(); ++i) assign(*target.kids[i], (*items)[i]);
    return;
  }
  const std::string& name = target.value.text();
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    const Value* space = scope->find(target.id);
    if (space == nullptr) continue;
    if (!space->is(Type::space)) break;
    if (name.starts_with("_")) fail("a namespace's attribute must not begin with '_': " + name);
    budget_.charge(static_cast<int64_t>(space->as<Space>().items.size() / 8));
    return space->as<Space>().set(name, std::move(value));
  }
  fail("cannot assign attribute on non-namespace object");
}

}  // namespace longshot::tokenizer::jinja
