#include "tokenizer/jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/jinja/globals.h"
#include "tokenizer/jinja/parser_nest.h"
#include "tokenizer/jinja/resolve.h"
#include "tokenizer/unicode/unicode.h"

namespace longshot::tokenizer::jinja {
namespace {

bool is_any(const Token& token, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const char* name) { return token.is_name(name); });
}

}  // namespace

Parser::Parser(std::string_view source, Program& program) : lexer_(source), program_(program) {
  current_ = lexer_.next();
  ahead_ = lexer_.next();
}

void Parser::parse() {
  program_.body = parse_until({});
  program_.loop = intern("loop");
  program_.caller = intern("caller");
  program_.kwargs = intern("kwargs");
  program_.varargs = intern("varargs");
  if (!unknown_.empty()) {
    current_.line = unknown_[0].first;
    fail_here(unknown_[0].second);
  }
  for (size_t id = 0; id < program_.names.size(); ++id)
    if (const Value* function = find_global(program_.names[id]); function != nullptr)
      program_.globals.emplace_back(static_cast<int>(id), *function);
  resolve_names(program_, &current_.line);
}

Nodes Parser::parse_until(std::initializer_list<const char*> ends) {
  const Nest nest(*this);
  Nodes nodes;
  while (current_.type != TokenType::end) {
    if (current_.type == TokenType::data) {
      nodes.push_back(make(NodeKind::text));
      nodes.back()->value = keep(Value::string(current_.text));
      advance();
    } else if (current_.type == TokenType::variable_begin) {
      parse_output(nodes);
    } else {
      advance();  // block_begin
      if (is_any(current_, ends)) return nodes;
      nodes.push_back(parse_statement());
      if (current_.type != TokenType::block_end) fail_here("the end of the statement is expected");
      advance();
    }
  }
  if (ends.size() > 0) fail_here(fmt::format("'{}' is missing", *(ends.end() - 1)));
  return nodes;
}

void Parser::parse_output(Nodes& out) {
  NodePtr node = make(NodeKind::output);
  advance();
  node->kids.push_back(parse_tuple(false, true, nullptr, false, false));
  if (current_.type != TokenType::variable_end) fail_here("'}}' is expected");
  advance();
  out.push_back(std::move(node));
}

NodePtr Parser::parse_statement() {
  if (current_.type != TokenType::name) fail_here("the name of a statement is expected");
  const std::string& tag = current_.text;
  if (tag == "for") return parse_for();
  if (tag == "if") return parse_if();
  if (tag == "set") return parse_set();
  if (tag == "macro") return parse_macro();
  if (tag == "call") return parse_call_block();
  if (tag == "filter") return parse_filter_block();
  if (tag == "with") return parse_with();
  if (tag == "block") return parse_block();
  if (tag == "generation") return parse_generation();
  if (tag == "print") return parse_print();
  if (tag == "break" || tag == "continue") return parse_loop_control();
  for (const char* other : {"include", "import", "from", "extends", "autoescape"})
    if (tag == other)
      fail_here(fmt::format("the statement '{}' is not supported in chat templates", tag));
  fail_here(fmt::format("unknown statement '{}'", tag));
}

Nodes Parser::parse_body(const char* end) {
  take_op(":");
  expect_block_end();
  const bool soft = std::exchange(soft_, false);
  Nodes body = parse_until({end});
  soft_ = soft;
  advance();
  return body;
}

NodePtr Parser::parse_for() {
  NodePtr node = make(NodeKind::for_loop);
  advance();
  node->kids.push_back(parse_target(false, "in"));
  check_target(*node->kids[0], true);
  if (!take_name("in")) fail_here("'in' is expected");
  node->kids.push_back(parse_tuple(false, false, "recursive", false, false));
  node->kids.push_back(take_name("if") ? parse_expression() : nullptr);
  node->parts = std::make_unique<ForParts>();
  if (node->kids[2] != nullptr) node->parts->condition_target = copy_of_target(*node->kids[0]);
  node->parts->recursive = take_name("recursive");
  take_op(":");
  expect_block_end();
  const bool soft = std::exchange(soft_, false);
  ++loops_;
  ++loops_around_;
  node->body = parse_until({"else", "endfor"});
  --loops_;
  if (take_name("else")) {
    take_op(":");
    expect_block_end();
    node->other = parse_until({"endfor"});
  }
  --loops_around_;
  soft_ = soft;
  advance();
  return node;
}

NodePtr Parser::copy_of_target(const Node& target) {
  NodePtr copy = make(target.kind);
  copy->line = target.line;
  copy->id = target.id;
  for (const NodePtr& kid : target.kids) copy->kids.push_back(copy_of_target(*kid));
  return copy;
}

NodePtr Parser::parse_if() {
  NodePtr result = make(NodeKind::branch);
  Node* node = result.get();
  const bool soft = std::exchange(soft_, true);
  advance();
  while (true) {
    node->kids.insert(node->kids.begin(), parse_tuple(false, false, nullptr, false, false));
    take_op(":");
    expect_block_end();
    node->body = parse_until({"elif", "else", "endif"});
    if (!current_.is_name("elif")) break;
    result->kids.push_back(make(NodeKind::branch));
    node = result->kids.back().get();
    advance();
  }
  if (take_name("else")) {
    take_op(":");
    expect_block_end();
    result->other = parse_until({"endif"});
  }
  soft_ = soft;
  advance();
  return result;
}

NodePtr Parser::parse_set() {
  NodePtr node = make(NodeKind::set);
  advance();
  node->kids.push_back(parse_target(true, nullptr));
  if (take_op("=")) {
    node->kids.push_back(parse_tuple(false, true, nullptr, false, false));
    check_target(*node->kids[0], false);
    return node;
  }
  node->kind = NodeKind::set_block;
  node->kids.push_back(take_op("|") ? parse_filter_chain() : nullptr);
  check_target(*node->kids[0], false);
  node->body = parse_body("endset");
  return node;
}

Nodes Parser::parse_macro_body(Signature& signature, const char* end) {
  macros_.push_back(&signature);
  stored_.emplace_back();
  for (const int id : signature.parameters)
    stored_.back().insert(program_.names[static_cast<size_t>(id)]);
  const int loops = std::exchange(loops_, 0);
  Nodes body = parse_body(end);
  loops_ = loops;
  stored_.pop_back();
  macros_.pop_back();
  return body;
}

NodePtr Parser::parse_macro() {
  NodePtr node = make(NodeKind::macro);
  advance();
  const std::string name = expect_name();
  note_use(name, true);
  node->id = intern(name);
  node->signature = std::make_unique<Signature>();
  node->signature->name = name;
  parse_signature(*node->signature);
  node->body = parse_macro_body(*node->signature, "endmacro");
  return node;
}

void Parser::parse_signature(Signature& signature) {
  expect_op("(");
  while (!current_.is_op(")")) {
    if (!signature.parameters.empty()) expect_op(",");
    const int id = intern(expect_name());
    const auto& all = signature.parameters;
    if (std::find(all.begin(), all.end(), id) != all.end()) fail_here("a parameter is named twice");
    signature.parameters.push_back(id);
    if (take_op("=")) {
      signature.defaults.push_back(parse_expression());
    } else if (!signature.defaults.empty()) {
      fail_here("non-default argument follows default argument");
    }
  }
  expect_op(")");
}

NodePtr Parser::parse_call_block() {
  NodePtr node = make(NodeKind::call_block);
  advance();
  node->signature = std::make_unique<Signature>();
  node->signature->name = "caller";
  if (current_.is_op("(")) parse_signature(*node->signature);
  node->kids.push_back(parse_expression());
  if (node->kids[0]->kind != NodeKind::call) fail_here("a call is expected");
  node->body = parse_macro_body(*node->signature, "endcall");
  return node;
}

// A chain of filters without an input; the input is the text of a block.
NodePtr Parser::parse_filter_chain() {
  NodePtr node = parse_filter(nullptr);
  while (take_op("|")) node = parse_filter(std::move(node));
  return node;
}

NodePtr Parser::parse_filter_block() {
  NodePtr node = make(NodeKind::filter_block);
  advance();
  node->kids.push_back(parse_filter_chain());
  node->body = parse_body("endfilter");
  return node;
}

NodePtr Parser::parse_with() {
  NodePtr node = make(NodeKind::with_block);
  advance();
  while (current_.type != TokenType::block_end) {
    if (!node->kids.empty()) expect_op(",");
    node->kids.push_back(parse_target(false, nullptr));
    check_target(*node->kids.back(), false);
    expect_op("=");
    node->kids.push_back(parse_expression());
  }
  node->body = parse_body("endwith");
  return node;
}

NodePtr Parser::parse_block() {
  NodePtr node = make(NodeKind::block);
  advance();
  const std::string name = expect_name();
  if (!blocks_.insert(name).second) fail_here(fmt::format("block '{}' defined twice", name));
  node->scoped = take_name("scoped");
  program_.has_blocks = true;
  program_.has_scoped_blocks = program_.has_scoped_blocks || node->scoped;
  if (current_.is_name("required")) fail_here("a required block is not supported");
  const int loops = std::exchange(loops_, 0);
  node->body = parse_body("endblock");
  loops_ = loops;
  take_name(name);
  return node;
}

NodePtr Parser::parse_generation() {
  NodePtr node = make(NodeKind::generation);
  advance();
  program_.has_generation = true;
  node->signature = std::make_unique<Signature>();
  node->signature->name = "caller";
  node->body = parse_macro_body(*node->signature, "endgeneration");
  return node;
}

NodePtr Parser::parse_print() {
  NodePtr node = make(NodeKind::output);
  advance();
  while (current_.type != TokenType::block_end) {
    if (!node->kids.empty()) expect_op(",");
    node->kids.push_back(parse_expression());
  }
  return node;
}

NodePtr Parser::parse_loop_control() {
  NodePtr node = make(current_.text == "break" ? NodeKind::break_loop : NodeKind::continue_loop);
  if (loops_ == 0) fail_here(fmt::format("'{}' outside a loop", current_.text));
  advance();
  return node;
}

NodePtr Parser::parse_target(bool with_space, const char* stop) {
  return parse_tuple(true, true, stop, false, with_space);
}

// Only names, attributes of namespaces and tuples of them can be assigned to.
void Parser::check_target(Node& node, bool in_for) {
  if (node.kind == NodeKind::tuple) {
    for (const NodePtr& kid : node.kids) check_target(*kid, in_for);
  } else if (node.kind == NodeKind::name) {
    const std::string& name = program_.names[static_cast<size_t>(node.id)];
    if ((in_for || loops_around_ > 0) && name == "loop")
      fail_here("the special variable 'loop' cannot be assigned to");
    note_use(name, true);
  } else if (node.kind != NodeKind::space_member) {
    fail_here("this cannot be assigned to");
  }
}

Result<std::unique_ptr<Program>> parse_program(std::string_view source) {
  if (!is_valid_utf8(source)) return invalid_argument("the template is not valid UTF-8");
  auto program = std::make_unique<Program>();
  std::unique_ptr<Parser> parser;
  try {
    parser = std::make_unique<Parser>(source, *program);
    parser->parse();
  } catch (const Error& error) {
    const int line = parser == nullptr ? 1 : parser->line();
    return invalid_argument(fmt::format("line {} of the chat template: {}", line, error.message));
  } catch (const std::exception& error) {  // most likely out of memory
    return internal_error(fmt::format("the chat template: {}", error.what()));
  }
  return program;
}

}  // namespace longshot::tokenizer::jinja
