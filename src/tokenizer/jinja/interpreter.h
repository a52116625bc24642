#pragma once
// Runs a parsed template once, on one thread. The program may be shared by several interpreters.

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/template.h"

namespace longshot::tokenizer::jinja {

// The variables of a function. They exist while it runs, and as long as a macro created in it
// exists.
struct Activation : Object {
  Ref<Activation> outer;
  Values slots;
  bool captured = false;  // by macros, to which its variables may refer in turn
};

class Interpreter {
 public:
  Interpreter(const Program& program, const Variables& variables, const RenderOptions& options);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  void run();  // throws Error; afterwards no method may be called
  std::string output;
  std::vector<Span> generations;  // the output of each {% generation %}, in order
  bool generations_known = true;  // false: one is inside a macro or a captured block
  int line() const { return line_; }

  // For values that call back into the interpreter.
  Value call_macro(const Node& node, const Ref<Activation>& made_in, Arguments& arguments);

 private:
  enum class Flow { normal, break_loop, continue_loop };
  class Capture;  // while it exists, output goes to its text
  class Call;     // while it exists, a function runs

  Flow execute(const Nodes& nodes);
  Flow execute(const Node& node);
  void write(const Node& node);
  void write(const Value& value);
  Flow execute_for(const Node& node);
  Flow run_loop(const Node& node, const Value& items, int depth);
  void run_plain_loop(const Node& node, const Items& items, bool* completed);
  void run_observed_loop(const Node& node, Items items, int depth, bool* completed);
  std::string render_loop(const Node& node, const Value& items, const Ref<Activation>& made_in,
                          int depth);
  Flow execute_branch(const Node& node);
  Flow execute_set_block(const Node& node);
  Flow execute_filter_block(const Node& node);
  Flow execute_with(const Node& node);
  Flow execute_block(const Node& node);
  void execute_macro(const Node& node);
  void execute_call_block(const Node& node);
  Flow execute_generation(const Node& node);
  void assign(const Node& target, Value value);
  void publish(const Node& node);
  Value make_macro(const Node& node);
  void bind_parameters(const Signature& signature, Arguments& arguments, Values& extra);
  void bind_extras(const Signature& signature, Arguments& arguments, Values extra);

  void enter(const Frame& frame);
  void leave(const Frame& frame);
  Value& at(Place place) {
    Activation* activation = activation_.get();
    for (int i = 0; i < place.hops; ++i) activation = activation->outer.get();
    return activation->slots[static_cast<size_t>(place.slot)];
  }
  Value& slot(int index) { return activation_->slots[static_cast<size_t>(index)]; }

  Value evaluate(const Node& node);
  // The value of a node: a stored one (a constant, a variable, or a member of a list or dict that
  // is one of these), or a new one in `hold`. Valid until a variable is set.
  const Value& look(const Node& node, Value& hold);
  const Value& look_at_attribute(const Node& node, Value& hold);
  const Value& look_at_item(const Node& node, Value& hold);
  Value compute(const Node& node);  // for nodes whose value is never a stored one
  // Appends the operands of a sum to `out` and returns true if all are plain texts. Otherwise
  // leaves `out` unchanged and stores the sum in `rest`.
  bool append_sum(const Node& node, std::string& out, Value& rest);
  Values evaluate_all(const Nodes& nodes);
  Value evaluate_dict(const Node& node);
  Value evaluate_slice(const Node& node);
  bool compares(const Node& node);
  Value evaluate_concat(const Node& node);
  Value evaluate_conditional(const Node& node);
  Value evaluate_call(const Node& node);
  Value evaluate_filter(const Node& node, const Value& input);
  bool evaluate_test(const Node& node);
  bool holds(const Node& node);  // whether it is true
  Arguments evaluate_arguments(const CallArguments* arguments);
  void evaluate_rest(const CallArguments& given, Arguments& out);

  const Program& program_;
  Budget budget_;
  // by name: the values that the template's caller gives, and those set at the template's top
  Values given_;
  Ref<Activation> activation_;
  std::string* out_ = &output;
  int line_ = 1;
  std::vector<Ref<Activation>> captured_;
};

}  // namespace longshot::tokenizer::jinja
