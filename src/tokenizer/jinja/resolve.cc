#include "tokenizer/jinja/resolve.h"

#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/jinja/symbols.h"

// Determines which variable a name refers to. Jinja2 decides this when it compiles a template, from
// the order in which a body reads and sets its names (jinja2/idtracking.py). The same rules apply
// here:
// - A name that a body reads before it sets it is an enclosing body's variable or, if there is
//   none, the value that the caller of the template gives.
// - A name that a body sets first is a variable of its own. It starts as the enclosing body's
//   variable of the same name, if there is one, otherwise unset, even if the caller gives a value.
// - The branches of an if belong to the body around them. A name that only branches set starts as
//   the enclosing body's variable or as the caller's value.

namespace longshot::tokenizer::jinja {
namespace {

template <typename Use>
void for_each_operand(const Node& node, const Use& use) {
  for (const NodePtr& kid : node.kids)
    if (kid != nullptr) use(*kid);
  if (node.arguments == nullptr) return;
  for (const NodePtr& argument : node.arguments->positional) use(*argument);
  for (const auto& [name, argument] : node.arguments->named) use(*argument);
  for (const NodePtr* more : {&node.arguments->star, &node.arguments->double_star})
    if (*more != nullptr) use(**more);
}

// Records which names the statements of a body read and set.
class Collector {
 public:
  explicit Collector(Symbols& symbols) : symbols_(&symbols) {}

  void expression(const Node& node) {
    if (node.kind == NodeKind::name || node.kind == NodeKind::space_member) symbols_->load(node.id);
    for_each_operand(node, [&](const Node& kid) { expression(kid); });
  }
  void target(const Node& node, bool as_parameter) {
    if (node.kind == NodeKind::name) {
      as_parameter ? void(symbols_->declare_parameter(node.id)) : symbols_->store(node.id);
    } else if (node.kind == NodeKind::space_member) {
      symbols_->load(node.id);
    }
    for (const NodePtr& kid : node.kids) target(*kid, as_parameter);
  }
  void body(const Nodes& nodes) {
    for (const NodePtr& node : nodes) statement(*node);
  }

 private:
  void statement(const Node& node) {
    switch (node.kind) {
      case NodeKind::output:
      case NodeKind::filter_block:
      case NodeKind::call_block:
        for (const NodePtr& kid : node.kids) expression(*kid);
        break;
      case NodeKind::for_loop:
        expression(*node.kids[1]);
        break;
      case NodeKind::branch:
        branch(node);
        break;
      case NodeKind::set:
        expression(*node.kids[1]);
        target(*node.kids[0], false);
        break;
      case NodeKind::set_block:
        target(*node.kids[0], false);
        break;
      case NodeKind::macro:
        symbols_->store(node.id);
        break;
      case NodeKind::with_block:
        for (size_t i = 1; i < node.kids.size(); i += 2) expression(*node.kids[i]);
        break;
      default:
        break;
    }
  }

  void branch(const Node& node) {
    expression(*node.kids[0]);
    Symbols* const around = symbols_;
    Symbols first = around->branch(), middle = around->branch(), last = around->branch();
    symbols_ = &first;
    body(node.body);
    symbols_ = &middle;
    for (size_t i = 1; i < node.kids.size(); ++i) branch(*node.kids[i]);
    symbols_ = &last;
    body(node.other);
    symbols_ = around;
    around->merge({&first, &middle, &last});
  }

  Symbols* symbols_;
};

bool reads(const Nodes& nodes, int name);

// True if a name is read below a node.
bool reads(const Node& node, int name) {
  if (node.kind == NodeKind::name && node.id == name) return true;
  bool found = false;
  for_each_operand(node, [&](const Node& kid) { found = found || reads(kid, name); });
  if (node.signature != nullptr) found = found || reads(node.signature->defaults, name);
  return found || reads(node.body, name) || reads(node.other, name);
}

bool reads(const Nodes& nodes, int name) {
  return std::any_of(nodes.begin(), nodes.end(),
                     [&](const NodePtr& node) { return reads(*node, name); });
}

// Walks through a template and writes the places of variables into its nodes.
class Resolver {
 public:
  Resolver(Program& program, int* line) : program_(program), line_(line) {}

  void run() {
    Function root;
    Symbols symbols(nullptr, &root);
    Collector(symbols).body(program_.body);
    symbols.write(program_.frame);
    body(program_.body, symbols, true);
    program_.frame.function_size = root.size();
  }

 private:
  void body(const Nodes& nodes, Symbols& symbols, bool top) {
    for (const NodePtr& node : nodes) statement(*node, symbols, top);
  }

  void expression(Node& node, const Symbols& symbols) {
    if (node.kind == NodeKind::name || node.kind == NodeKind::space_member) {
      *line_ = node.line;
      const Variable* variable = symbols.find(node.id);
      if (variable == nullptr)
        fail(fmt::format("jinja2 does not find the name '{}' here",
                         program_.names[static_cast<size_t>(node.id)]));
      node.place = symbols.place_of(*variable);
    }
    for_each_operand(node, [&](const Node& kid) { expression(const_cast<Node&>(kid), symbols); });
  }

  // A nested body within the same function.
  std::unique_ptr<Frame> inner(const Nodes& nodes, Symbols& symbols) {
    auto frame = std::make_unique<Frame>();
    symbols.write(*frame);
    body(nodes, symbols, false);
    return frame;
  }

  void statement(Node& node, Symbols& symbols, bool top) {
    switch (node.kind) {
      case NodeKind::output:
        for (const NodePtr& kid : node.kids) expression(*kid, symbols);
        break;
      case NodeKind::for_loop:
        for_loop(node, symbols);
        break;
      case NodeKind::branch:
        branch(node, symbols, top);
        break;
      case NodeKind::set:
        expression(*node.kids[1], symbols);
        expression(*node.kids[0], symbols);
        if (top) publish(*node.kids[0], node);
        break;
      case NodeKind::set_block:
        set_block(node, symbols);
        if (top) publish(*node.kids[0], node);
        break;
      case NodeKind::macro:
        node.place = symbols.place_of(*symbols.find(node.id));
        if (top) node.visible.push_back({node.id, node.place});
        macro(node, symbols);
        break;
      case NodeKind::call_block:
        expression(*node.kids[0], symbols);
        macro(node, symbols);
        break;
      case NodeKind::generation:
        macro(node, symbols);
        break;
      case NodeKind::filter_block:
        filter_block(node, symbols);
        break;
      case NodeKind::with_block:
        with_block(node, symbols);
        break;
      case NodeKind::block:
        block(node, symbols);
        break;
      default:
        break;
    }
  }

  void publish(const Node& target, Node& node) {
    if (target.kind == NodeKind::name) node.visible.push_back({target.id, target.place});
    for (const NodePtr& kid : target.kids) publish(*kid, node);
  }

  void branch(Node& node, Symbols& symbols, bool top) {
    expression(*node.kids[0], symbols);
    body(node.body, symbols, top);
    for (size_t i = 1; i < node.kids.size(); ++i) branch(*node.kids[i], symbols, top);
    body(node.other, symbols, top);
  }

  void set_block(Node& node, Symbols& symbols) {
    expression(*node.kids[0], symbols);
    Symbols own(&symbols, symbols.function());
    Collector(own).body(node.body);
    node.frame = inner(node.body, own);
    if (node.kids[1] != nullptr) expression(*node.kids[1], own);
  }

  void filter_block(Node& node, Symbols& symbols) {
    Symbols own(&symbols, symbols.function());
    Collector collector(own);
    collector.body(node.body);
    collector.expression(*node.kids[0]);
    node.frame = inner(node.body, own);
    expression(*node.kids[0], own);
  }

  void with_block(Node& node, Symbols& symbols) {
    Symbols own(&symbols, symbols.function());
    Collector collector(own);
    for (size_t i = 0; i < node.kids.size(); i += 2) collector.target(*node.kids[i], true);
    collector.body(node.body);
    for (size_t i = 0; i < node.kids.size(); ++i)
      expression(*node.kids[i], i % 2 == 0 ? own : symbols);
    node.frame = inner(node.body, own);
  }

  void for_loop(Node& node, Symbols& symbols) {
    ForParts& parts = *node.parts;
    expression(*node.kids[1], symbols);
    if (node.kids[2] != nullptr) condition(node, symbols);
    Function loop_function{symbols.function()};
    Function* function = parts.recursive ? &loop_function : symbols.function();
    Symbols own(&symbols, function), other(&symbols, function);
    if (parts.recursive || program_.has_scoped_blocks || reads(node.body, program_.loop))
      parts.loop_slot = own.declare_parameter(program_.loop);
    Collector collector(own);
    collector.target(*node.kids[0], true);
    collector.body(node.body);
    Collector(other).body(node.other);
    expression(*node.kids[0], own);
    node.frame = inner(node.body, own);
    parts.other = std::move(*inner(node.other, other));
    node.frame->function_size = loop_function.size();
  }

  // The condition of a for is a function with the target as its own variable.
  void condition(Node& node, Symbols& symbols) {
    Function function{symbols.function()};
    Symbols own(&symbols, &function);
    Collector collector(own);
    collector.target(*node.parts->condition_target, true);
    collector.expression(*node.kids[2]);
    own.write(node.parts->condition);
    expression(*node.parts->condition_target, own);
    expression(*node.kids[2], own);
    node.parts->condition.function_size = function.size();
  }

  void macro(Node& node, Symbols& symbols) {
    Signature& signature = *node.signature;
    Function function{symbols.function()};
    Symbols own(&symbols, &function);
    const auto collect = [&] {
      Collector collector(own);
      signature.slots.clear();
      for (const int name : signature.parameters)
        signature.slots.push_back(own.declare_parameter(name));
      for (const NodePtr& value : signature.defaults) collector.expression(*value);
      collector.body(node.body);
    };
    collect();
    if (signature.uses_caller) signature.caller_slot = own.declare_parameter(program_.caller);
    if (signature.uses_kwargs) signature.kwargs_slot = own.declare_parameter(program_.kwargs);
    if (signature.uses_varargs) signature.varargs_slot = own.declare_parameter(program_.varargs);
    collect();
    for (const NodePtr& value : signature.defaults) expression(*value, own);
    node.frame = inner(node.body, own);
    node.frame->function_size = function.size();
  }

  void block(Node& node, Symbols& symbols) {
    if (node.scoped)
      for (const auto& [name, variable] : symbols.all_stored())
        node.visible.push_back({name, symbols.place_of(*variable)});
    Function function;
    Symbols own(nullptr, &function);
    Collector(own).body(node.body);
    node.frame = inner(node.body, own);
    node.frame->function_size = function.size();
  }

  Program& program_;
  int* line_;
};

}  // namespace

void resolve_names(Program& program, int* line) {
  Resolver(program, line).run();
}

}  // namespace longshot::tokenizer::jinja
