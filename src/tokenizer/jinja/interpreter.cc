// The interpreter's statements.
#include "tokenizer/jinja/interpreter.h"

#include <fmt/format.h>

#include "tokenizer/jinja/loop.h"
#include "tokenizer/jinja/scope_guards.h"

namespace longshot::tokenizer::jinja {
namespace {

constexpr size_t kMaxOutput = size_t{64} << 20;

}  // namespace

Interpreter::Interpreter(const Program& program, const Variables& variables,
                         const RenderOptions& options)
    : program_(program),
      budget_(options.max_steps),
      given_(program.names.size()),
      activation_(make_object<Activation>()) {
  budget_.now = options.now;
  output.reserve(std::min(options.expected_size, kMaxOutput));
  for (const auto& [id, function] : program.globals) given_[static_cast<size_t>(id)] = function;
  for (const Variables* given : {options.fixed, &variables}) {
    if (given == nullptr) continue;
    for (const auto& [name, value] : *given) {
      const auto id = program.ids.find(name);
      if (id != program.ids.end()) given_[static_cast<size_t>(id->second)] = value;
    }
  }
  activation_->slots.resize(static_cast<size_t>(program.frame.function_size));
}

// Macros and their activations, and namespaces, may refer to one another in cycles.
Interpreter::~Interpreter() {
  for (const auto& activation : captured_) activation->slots.clear();
  for (const auto& space : budget_.spaces) space->items.clear();
}

void Interpreter::run() {
  enter(program_.frame);
  execute(program_.body);
}

void Interpreter::enter(const Frame& frame) {
  for (const Setup& setup : frame.setups) {
    Value& variable = slot(setup.slot);
    switch (setup.from) {
      case Setup::From::outer:
        variable = at(setup.outer);
        break;
      case Setup::From::given:
        variable = given_[static_cast<size_t>(setup.id)];
        break;
      case Setup::From::nothing:
        variable = Value();
        break;
    }
  }
}

void Interpreter::leave(const Frame& frame) {
  for (const int index : frame.slots) slot(index) = Value();
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
      publish(node);
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

void Interpreter::write(const Node& node) {
  Value hold;
  switch (node.kind) {
    case NodeKind::sum:
      if (!append_sum(node, *out_, hold)) write(hold);
      break;
    case NodeKind::concat:
      for (const NodePtr& kid : node.kids) write(*kid);
      return;
    case NodeKind::conditional:
      if (holds(*node.kids[1])) return write(*node.kids[0]);
      if (node.kids[2] != nullptr) return write(*node.kids[2]);
      return;
    default:
      write(look(node, hold));
      return;
  }
  if (out_->size() > kMaxOutput) fail("the template's output is too large");
}

Interpreter::Flow Interpreter::execute_branch(const Node& node) {
  if (holds(*node.kids[0])) return execute(node.body);
  for (size_t i = 1; i < node.kids.size(); ++i) {
    const Node& other = *node.kids[i];
    line_ = other.line;
    if (holds(*other.kids[0])) return execute(other.body);
  }
  return execute(node.other);
}

Interpreter::Flow Interpreter::execute_for(const Node& node) {
  const Value items = evaluate(*node.kids[1]);
  if (!node.parts->recursive) return run_loop(node, items, 0);
  write(Value::string(render_loop(node, items, activation_, 0)));
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_loop(const Node& node, const Value& items, int depth) {
  const Budget::Depth guard(budget_);
  bool completed = false;  // jinja2 runs the else branch if no pass reached its end
  const bool observed = node.parts->loop_slot >= 0 || node.kids[2] != nullptr;
  if (observed) {
    run_observed_loop(node, items_of(items, budget_), depth, &completed);
  } else {
    run_plain_loop(node, items_of(items, budget_), &completed);
  }
  leave(*node.frame);
  if (completed || node.other.empty()) return Flow::normal;
  enter(node.parts->other);
  const Flow flow = execute(node.other);
  leave(node.parts->other);
  return flow;
}

void Interpreter::run_plain_loop(const Node& node, const Items& items, bool* completed) {
  for (const Value& item : *items) {
    assign(*node.kids[0], item);
    enter(*node.frame);
    const Flow flow = execute(node.body);
    if (flow == Flow::break_loop) break;
    *completed = *completed || flow == Flow::normal;
  }
}

// Runs a loop that reads its variable `loop` or has a condition.
void Interpreter::run_observed_loop(const Node& node, Items items, int depth, bool* completed) {
  const Ref<Activation> outside = node.parts->recursive ? activation_->outer : activation_;
  Loop::Test test;
  if (node.kids[2] != nullptr)
    test = [this, &node, outside, own = Ref<Activation>()](const Value& item) mutable {
      const Ref<Activation> saved = activation_;
      if (own == nullptr) {
        const Call call(*this, node.parts->condition, outside);
        enter(node.parts->condition);
        own = activation_;
      }
      activation_ = own;
      assign(*node.parts->condition_target, item);
      const bool taken = holds(*node.kids[2]);
      activation_ = saved;
      return taken;
    };
  Loop::Recurse recurse;
  if (node.parts->recursive)
    recurse = [this, &node, outside, depth](const Value& more) {
      return Value::string(render_loop(node, more, outside, depth + 1));
    };
  const auto loop =
      Ref<Loop>(new Loop(std::move(items), std::move(test), std::move(recurse), depth));
  const Value loop_value = Value::object(Type::loop, loop);
  while (loop->advance()) {
    if (node.parts->loop_slot >= 0) slot(node.parts->loop_slot) = loop_value;
    assign(*node.kids[0], loop->item());
    enter(*node.frame);
    const Flow flow = execute(node.body);
    if (flow == Flow::break_loop) break;
    *completed = *completed || flow == Flow::normal;
  }
  loop->forget();
}

std::string Interpreter::render_loop(const Node& node, const Value& items,
                                     const Ref<Activation>& made_in, int depth) {
  const Call call(*this, *node.frame, made_in);
  Capture capture(*this);
  run_loop(node, items, depth);
  return std::move(capture.text);
}

Interpreter::Flow Interpreter::execute_set_block(const Node& node) {
  Value text;
  {
    Capture capture(*this);
    enter(*node.frame);
    if (const Flow flow = execute(node.body); flow != Flow::normal) return flow;
    text = Value::string(std::move(capture.text));
    if (node.kids[1] != nullptr) text = evaluate_filter(*node.kids[1], text);
  }
  assign(*node.kids[0], std::move(text));
  publish(node);
  leave(*node.frame);
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute_filter_block(const Node& node) {
  Value text;
  {
    Capture capture(*this);
    enter(*node.frame);
    if (const Flow flow = execute(node.body); flow != Flow::normal) return flow;
    text = evaluate_filter(*node.kids[0], Value::string(std::move(capture.text)));
  }
  write(text);
  leave(*node.frame);
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute_with(const Node& node) {
  Values values;
  for (size_t i = 1; i < node.kids.size(); i += 2) values.push_back(evaluate(*node.kids[i]));
  enter(*node.frame);
  for (size_t i = 0; i < values.size(); ++i) assign(*node.kids[2 * i], std::move(values[i]));
  const Flow flow = execute(node.body);
  leave(*node.frame);
  return flow;
}

// A block sees the variables that the template's caller gives and those set at the top of the
// template. A scoped block also sees the variables around it.
Interpreter::Flow Interpreter::execute_block(const Node& node) {
  const Values saved = node.visible.empty() ? Values() : given_;
  for (const auto& [id, place] : node.visible)
    if (!at(place).is_unset()) given_[static_cast<size_t>(id)] = at(place);
  {
    const Call call(*this, *node.frame, {});
    enter(*node.frame);
    execute(node.body);
  }
  if (!node.visible.empty()) given_ = saved;
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute_generation(const Node& node) {
  const size_t begin = out_->size();
  const bool direct = out_ == &output;
  if (!direct) generations_known = false;
  {
    const Call call(*this, *node.frame, activation_);
    enter(*node.frame);
    Arguments none;
    bind_extras(*node.signature, none, {});
    execute(node.body);
  }
  if (direct) generations.push_back({begin, out_->size()});
  return Flow::normal;
}

void Interpreter::publish(const Node& node) {
  if (!program_.has_blocks) return;
  for (const auto& [id, place] : node.visible) given_[static_cast<size_t>(id)] = at(place);
}

void Interpreter::assign(const Node& target, Value value) {
  if (target.kind == NodeKind::name) {
    at(target.place) = std::move(value);
    return;
  }
  if (target.kind == NodeKind::tuple) {
    const Items items = items_of(value, budget_);
    if (items->size() != target.kids.size())
      fail(fmt::format("{} values to unpack (expected {})",
                       items->size() < target.kids.size() ? "not enough" : "too many",
                       target.kids.size()));
    for (size_t i = 0; i < items->size(); ++i) assign(*target.kids[i], (*items)[i]);
    return;
  }
  const Value& space = at(target.place);
  const std::string& name = target.value.text();
  if (!space.is(Type::space)) fail("cannot assign attribute on non-namespace object");
  if (name.starts_with("_")) fail("a namespace's attribute must not begin with '_': " + name);
  budget_.charge(static_cast<int64_t>(space.as<Space>().items.size() / 8));
  space.as<Space>().set(name, std::move(value));
}

}  // namespace longshot::tokenizer::jinja
