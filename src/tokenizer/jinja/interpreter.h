#pragma once
// Runs a parsed template once. One thread; the program may be shared.

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/template.h"

namespace longshot::tokenizer::jinja {

// The variables of a function while it runs, and for as long as macros made in it live.
struct Activation : Object {
  Ref<Activation> outer;
  Values slots;
  bool captured = false;  // by macros, which its variables may refer to in turn
};

class Interpreter {
 public:
  Interpreter(const Program& program, const Variables& variables, const RenderOptions& options);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  void run();  // fails with Error; nothing may be called after that
  std::string output;
  std::vector<Span> generations;  // of {% generation %}, in order
  bool generations_known = true;  // false: one stands inside a macro or a captured block
  int line() const { return line_; }

  // For values that call back.
  Value call_macro(const Node& node, const Ref<Activation>& made_in, Arguments& arguments);

 private:
  enum class Flow { normal, break_loop, continue_loop };
  class Capture;  // output goes elsewhere while it lives
  class Call;     // a function runs while it lives

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
  Value compute(const Node& node);  // of what find() does not find
  Value compute_inner(const Node& node);
  // A constant, a variable, or a member of a list or dict that one of them holds, where it is kept.
  // nullptr: the value must be computed.
  const Value* find(const Node& node);
  // The value of a node, kept by a variable or by `hold`; valid until a variable is set.
  const Value& look(const Node& node, Value& hold);
  // Appends the operands of a sum while they are plain texts. Otherwise `out` is left as it was,
  // and the sum is in `rest`.
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
  Values given_;  // by name: what the template's caller gives, and what its top has set
  Ref<Activation> activation_;
  std::string* out_ = &output;
  int line_ = 1;
  std::vector<Ref<Activation>> captured_;
};

}  // namespace longshot::tokenizer::jinja
