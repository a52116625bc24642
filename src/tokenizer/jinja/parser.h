#pragma once
// Parses templates into programs, by jinja2's grammar.

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/lexer.h"

namespace longshot::tokenizer::jinja {

// Errors name the line.
Result<std::unique_ptr<Program>> parse_program(std::string_view source);

class Parser {
 public:
  Parser(std::string_view source, Program& program);
  void parse();
  int line() const { return current_.line; }

 private:
  // Statements, in parser.cc.
  Nodes parse_until(std::initializer_list<const char*> ends);
  void parse_output(Nodes& out);
  NodePtr parse_statement();
  NodePtr parse_for();
  NodePtr parse_if();
  NodePtr parse_set();
  NodePtr parse_macro();
  NodePtr parse_call_block();
  NodePtr parse_filter_block();
  NodePtr parse_filter_chain();
  NodePtr parse_with();
  NodePtr parse_block();
  NodePtr parse_generation();
  NodePtr parse_print();
  NodePtr parse_loop_control();
  void parse_signature(Signature& signature);
  Nodes parse_body(const char* end);
  Nodes parse_macro_body(Signature& signature, const char* end);
  NodePtr parse_target(bool with_space, const char* stop);
  void check_target(Node& node, bool in_for);
  NodePtr copy_of_target(const Node& target);

  // Expressions, in parser_expression.cc.
  NodePtr parse_expression(bool conditional = true);
  NodePtr parse_condition();
  NodePtr parse_or();
  NodePtr parse_and();
  NodePtr parse_not();
  NodePtr parse_compare();
  bool take_compare_op(CompareOp* op);
  NodePtr parse_sum();
  void join_texts(Nodes& kids);
  NodePtr parse_concat();
  NodePtr parse_product();
  NodePtr parse_power();
  NodePtr parse_unary(bool with_filters = true);
  NodePtr parse_primary(bool with_space = false);
  NodePtr parse_name(bool with_space);
  NodePtr parse_tuple(bool simple, bool conditional, const char* stop, bool in_parentheses,
                      bool with_space);
  NodePtr parse_list();
  NodePtr parse_dict();
  NodePtr parse_postfix(NodePtr node);
  NodePtr parse_filters(NodePtr node);
  NodePtr parse_filter(NodePtr node);
  NodePtr parse_test(NodePtr node);
  NodePtr parse_subscript(NodePtr node);
  NodePtr parse_subscribed(NodePtr owner, bool* slice);
  NodePtr parse_call(NodePtr node);
  std::unique_ptr<CallArguments> parse_arguments();

  void advance();
  bool take_op(std::string_view op);
  bool take_name(std::string_view name);
  void expect_op(std::string_view op);
  void expect_block_end();
  std::string expect_name();
  [[noreturn]] void fail_here(const std::string& message);
  NodePtr make(NodeKind kind);
  NodePtr make(NodeKind kind, NodePtr a, NodePtr b = nullptr);
  NodePtr wrap(NodePtr node);  // checks the depth of the tree
  int intern(const std::string& name);
  Value keep(Value value);  // stores it as a constant of the program
  void note_unknown(const std::string& message);
  void note_use(const std::string& name, bool stored);

  // Limits the recursion of the parser.
  struct Nest;

  Lexer lexer_;
  Token current_, ahead_;
  Program& program_;
  int nesting_ = 0;
  int loops_ = 0;         // around the current place, within its function
  int loops_around_ = 0;  // around the current place, in all functions
  bool soft_ = false;     // inside an if: an unknown filter fails only when it is used
  std::vector<Signature*> macros_;
  std::vector<std::set<std::string>> stored_;  // the names that each of macros_ has set
  std::set<std::string> blocks_;
  // Unknown filters and tests outside an if, with their lines.
  std::vector<std::pair<int, std::string>> unknown_;
};

}  // namespace longshot::tokenizer::jinja
