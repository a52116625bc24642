#pragma once
// Runs a parsed template once. One thread; the program may be shared.

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/jinja/ast.h"

namespace longshot::tokenizer::jinja {

using Variables = std::vector<std::pair<std::string, Value>>;

// Bytes [begin, end) of the output.
struct Span {
  size_t begin = 0, end = 0;
};

struct RenderOptions {
  int64_t max_steps = 20'000'000;  // about a second
  std::time_t now = 0;             // what strftime_now says; 0 = the clock
};

// The variables of a statement's body. What is not found here is looked for in the parent.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<int, Value>> variables;

  const Value* find(int id) const;
  void set(int id, Value value);
};
using ScopePtr = std::shared_ptr<Scope>;

class Loop;

class Interpreter {
 public:
  Interpreter(const Program& program, const Variables& variables, const RenderOptions& options);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  void run();  // fails with Error
  std::string output;
  std::vector<Span> generations;    // of {% generation %}, in order
  bool generations_known = true;    // false: one stands inside a macro or a captured block
  int line() const { return line_; }

  // For values that call back.
  Value call_macro(const Signature& signature, const Nodes& body, const ScopePtr& scope,
                   Arguments& arguments);
  std::string render_loop(const Node& node, const Value& items, const ScopePtr& scope, int depth);
  Value evaluate(const Node& node);
  Budget& budget() { return budget_; }

  enum class Flow { normal, break_loop, continue_loop };

 private:
  friend class Loop;
  class Enter;    // a new scope while it lives
  class Capture;  // output goes elsewhere while it lives

  Flow execute(const Nodes& nodes);
  Flow execute(const Node& node);
  void write(const Node& node);
  void write(const Value& value);
  Flow execute_for(const Node& node);
  Flow run_loop(const Node& node, const Value& items, int depth);
  Flow execute_branch(const Node& node);
  Flow execute_set_block(const Node& node);
  Flow execute_filter_block(const Node& node);
  Flow execute_with(const Node& node);
  Flow execute_block(const Node& node);
  void execute_macro(const Node& node);
  void execute_call_block(const Node& node);
  Flow execute_generation(const Node& node);
  void assign(const Node& target, Value value);
  bool passes(const Node& node, const Value& item);
  void bind_parameters(const Signature& signature, Arguments& arguments, Values& extra);

  Value evaluate_inner(const Node& node);
  Value evaluate_name(const Node& node);
  Values evaluate_all(const Nodes& nodes);
  Value evaluate_dict(const Node& node);
  Value evaluate_slice(const Node& node);
  Value evaluate_compare(const Node& node);
  Value evaluate_concat(const Node& node);
  Value evaluate_conditional(const Node& node);
  Value evaluate_call(const Node& node);
  Value evaluate_filter(const Node& node, const Value& input);
  Value evaluate_test(const Node& node);
  Arguments evaluate_arguments(const CallArguments* arguments);

  const Program& program_;
  const RenderOptions& options_;
  Budget budget_;
  ScopePtr root_, scope_;
  std::string* out_ = &output;
  int line_ = 1;
  std::vector<ScopePtr> captured_;  // by macros, which may refer to one another in circles
  std::vector<std::shared_ptr<Space>> spaces_;

  friend Value make_global(const std::string& name, Interpreter& interpreter);
  friend struct NamespaceFunction;
  friend struct ClockFunction;
};

// range, dict, namespace, raise_exception ...; undefined if there is none of the name.
Value make_global(const std::string& name, Interpreter& interpreter);

}  // namespace longshot::tokenizer::jinja
