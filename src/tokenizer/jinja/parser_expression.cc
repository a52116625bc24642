// Parsing of expressions.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tokenizer/jinja/parser.h"
#include "tokenizer/jinja/parser_nest.h"

namespace longshot::tokenizer::jinja {
namespace {

constexpr int kMaxTreeDepth = 200;

std::string described(const Token& token) {
  switch (token.type) {
    case TokenType::end:
      return "the end of the template";
    case TokenType::variable_end:
      return "'}}'";
    case TokenType::block_end:
      return "'%}'";
    case TokenType::string:
      return "a string";
    case TokenType::number:
      return "a number";
    default:
      return "'" + token.text + "'";
  }
}

}  // namespace

void Parser::advance() {
  current_ = std::move(ahead_);
  ahead_ = lexer_.next();
}

bool Parser::take_op(std::string_view op) {
  if (!current_.is_op(op)) return false;
  advance();
  return true;
}

bool Parser::take_name(std::string_view name) {
  if (!current_.is_name(name)) return false;
  advance();
  return true;
}

void Parser::expect_op(std::string_view op) {
  if (!take_op(op)) fail_here(fmt::format("'{}' is expected, not {}", op, described(current_)));
}

void Parser::expect_block_end() {
  if (current_.type != TokenType::block_end)
    fail_here("'%}' is expected, not " + described(current_));
  advance();
}

std::string Parser::expect_name() {
  if (current_.type != TokenType::name) fail_here("a name is expected, not " + described(current_));
  std::string name = current_.text;
  advance();
  return name;
}

void Parser::fail_here(const std::string& message) {
  fail(message);
}

NodePtr Parser::make(NodeKind kind) {
  auto node = std::make_unique<Node>();
  node->kind = kind;
  node->line = current_.line;
  return node;
}

NodePtr Parser::make(NodeKind kind, NodePtr a, NodePtr b) {
  NodePtr node = make(kind);
  node->line = a->line;
  node->kids.push_back(std::move(a));
  if (b != nullptr) node->kids.push_back(std::move(b));
  return wrap(std::move(node));
}

NodePtr Parser::wrap(NodePtr node) {
  for (const NodePtr& kid : node->kids)
    if (kid != nullptr) node->depth = std::max(node->depth, kid->depth + 1);
  if (node->depth > kMaxTreeDepth) fail_here("an expression nests too deeply");
  return node;
}

int Parser::intern(const std::string& name) {
  const auto known = program_.ids.find(name);
  if (known != program_.ids.end()) return known->second;
  const int id = static_cast<int>(program_.names.size());
  program_.ids.emplace(program_.names.emplace_back(name), id);
  return id;
}

Value Parser::keep(Value value) {
  return program_.constants.emplace_back(std::move(value)).value();
}

// Notes which macros read caller, kwargs or varargs before they set them.
void Parser::note_use(const std::string& name, bool stored) {
  for (size_t i = 0; i < macros_.size(); ++i) {
    if (stored) stored_[i].insert(name);
    if (stored || stored_[i].contains(name)) continue;
    if (name == "caller") macros_[i]->uses_caller = true;
    if (name == "kwargs") macros_[i]->uses_kwargs = true;
    if (name == "varargs") macros_[i]->uses_varargs = true;
  }
}

void Parser::note_unknown(const std::string& message) {
  if (!soft_) unknown_.emplace_back(current_.line, message);
}

NodePtr Parser::parse_expression(bool conditional) {
  const Nest nest(*this);
  return conditional ? parse_condition() : parse_or();
}

NodePtr Parser::parse_condition() {
  const size_t known = unknown_.size();
  NodePtr value = parse_or();
  while (take_name("if")) {
    unknown_.resize(known);  // unknown filters here fail only when they are used
    const bool soft = std::exchange(soft_, true);
    NodePtr node = make(NodeKind::conditional, std::move(value), parse_or());
    node->kids.push_back(take_name("else") ? parse_expression() : nullptr);
    soft_ = soft;
    value = wrap(std::move(node));
  }
  return value;
}

NodePtr Parser::parse_or() {
  NodePtr left = parse_and();
  while (take_name("or")) left = make(NodeKind::logical_or, std::move(left), parse_and());
  return left;
}

NodePtr Parser::parse_and() {
  NodePtr left = parse_not();
  while (take_name("and")) left = make(NodeKind::logical_and, std::move(left), parse_not());
  return left;
}

NodePtr Parser::parse_not() {
  const Nest nest(*this);
  if (take_name("not")) return make(NodeKind::negation, parse_not());
  return parse_compare();
}

bool Parser::take_compare_op(CompareOp* op) {
  constexpr std::array<std::string_view, 6> kOps = {"==", "!=", "<", "<=", ">", ">="};
  for (size_t i = 0; i < kOps.size(); ++i) {
    if (!take_op(kOps[i])) continue;
    *op = static_cast<CompareOp>(i);
    return true;
  }
  if (take_name("in")) {
    *op = CompareOp::in;
    return true;
  }
  if (!current_.is_name("not") || !ahead_.is_name("in")) return false;
  advance();
  advance();
  *op = CompareOp::not_in;
  return true;
}

NodePtr Parser::parse_compare() {
  NodePtr first = parse_sum();
  CompareOp op;
  if (!take_compare_op(&op)) return first;
  NodePtr node = make(NodeKind::compare, std::move(first));
  do {
    node->ops.push_back(op);
    node->kids.push_back(parse_sum());
  } while (take_compare_op(&op));
  return wrap(std::move(node));
}

NodePtr Parser::parse_sum() {
  NodePtr left = parse_concat();
  while (current_.is_op("+") || current_.is_op("-")) {
    const bool adds = current_.text == "+";
    advance();
    if (adds && left->kind == NodeKind::sum) {
      left->kids.push_back(parse_concat());
      left->depth = std::max(left->depth, left->kids.back()->depth + 1);
      continue;
    }
    left = make(adds ? NodeKind::sum : NodeKind::binary, std::move(left), parse_concat());
    left->op = BinaryOp::subtract;  // only a binary node uses it
  }
  if (left->kind != NodeKind::sum) return left;
  join_texts(left->kids);
  return left->kids.size() > 1 ? std::move(left) : std::move(left->kids[0]);
}

// Joins adjacent constant texts of a sum.
void Parser::join_texts(Nodes& kids) {
  const auto is_text = [](const NodePtr& kid) {
    return kid->kind == NodeKind::constant && kid->value.is_plain_text();
  };
  Nodes joined;
  for (size_t i = 0; i < kids.size();) {
    size_t end = i;
    std::string text;
    while (end < kids.size() && is_text(kids[end])) text += kids[end++]->value.text();
    if (end > i + 1) kids[i]->value = keep(Value::string(std::move(text)));
    joined.push_back(std::move(kids[i]));
    i = std::max(end, i + 1);
  }
  kids = std::move(joined);
}

NodePtr Parser::parse_concat() {
  NodePtr first = parse_product();
  if (!current_.is_op("~")) return first;
  NodePtr node = make(NodeKind::concat, std::move(first));
  while (take_op("~")) node->kids.push_back(parse_product());
  return wrap(std::move(node));
}

NodePtr Parser::parse_product() {
  constexpr std::array<std::pair<std::string_view, BinaryOp>, 4> kOps = {
      {{"*", BinaryOp::multiply},
       {"/", BinaryOp::divide},
       {"//", BinaryOp::floor_divide},
       {"%", BinaryOp::modulo}}};
  NodePtr left = parse_power();
  while (true) {
    const auto found = std::find_if(kOps.begin(), kOps.end(),
                                    [&](const auto& op) { return current_.is_op(op.first); });
    if (found == kOps.end()) return left;
    advance();
    left = make(NodeKind::binary, std::move(left), parse_power());
    left->op = found->second;
  }
}

NodePtr Parser::parse_power() {
  NodePtr left = parse_unary();
  while (take_op("**")) {
    left = make(NodeKind::binary, std::move(left), parse_unary());
    left->op = BinaryOp::power;
  }
  return left;
}

NodePtr Parser::parse_unary(bool with_filters) {
  const Nest nest(*this);
  NodePtr node;
  if (take_op("-")) {
    node = make(NodeKind::minus, parse_unary(false));
  } else if (take_op("+")) {
    node = make(NodeKind::plus, parse_unary(false));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filters ? parse_filters(std::move(node)) : std::move(node);
}

NodePtr Parser::parse_primary(bool with_space) {
  if (current_.type == TokenType::name) return parse_name(with_space);
  if (current_.type == TokenType::string) {
    NodePtr node = make(NodeKind::constant);
    std::string text;
    for (; current_.type == TokenType::string; advance()) text += current_.text;
    node->value = keep(Value::string(std::move(text)));
    return node;
  }
  if (current_.type == TokenType::number) {
    NodePtr node = make(NodeKind::constant);
    node->value = keep(current_.value);
    advance();
    return node;
  }
  if (take_op("(")) {
    NodePtr node = parse_tuple(false, true, nullptr, true, false);
    expect_op(")");
    return node;
  }
  if (current_.is_op("[")) return parse_list();
  if (current_.is_op("{")) return parse_dict();
  fail_here("unexpected " + described(current_));
}

NodePtr Parser::parse_name(bool with_space) {
  NodePtr node = make(NodeKind::constant);
  const std::string name = current_.text;
  advance();
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    node->value = Value::boolean(name == "true" || name == "True");
  } else if (name == "none" || name == "None") {
    node->value = Value::none();
  } else {
    node->kind = NodeKind::name;
    node->id = intern(name);
    if (with_space && take_op(".")) {
      node->kind = NodeKind::space_member;
      node->value = keep(Value::string(expect_name()));
    }
    note_use(name, false);
  }
  return node;
}

NodePtr Parser::parse_tuple(bool simple, bool conditional, const char* stop, bool in_parentheses,
                            bool with_space) {
  const Nest nest(*this);
  NodePtr tuple = make(NodeKind::tuple);
  bool is_tuple = false;
  while (true) {
    if (!tuple->kids.empty()) expect_op(",");
    const bool ends = current_.type == TokenType::variable_end ||
                      current_.type == TokenType::block_end || current_.is_op(")") ||
                      (stop != nullptr && current_.is_name(stop));
    if (ends) break;
    tuple->kids.push_back(simple ? parse_primary(with_space) : parse_expression(conditional));
    if (!current_.is_op(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !tuple->kids.empty()) return std::move(tuple->kids[0]);
  if (!is_tuple && !in_parentheses)
    fail_here("an expression is expected, not " + described(current_));
  return wrap(std::move(tuple));
}

NodePtr Parser::parse_list() {
  NodePtr node = make(NodeKind::list);
  expect_op("[");
  while (!current_.is_op("]")) {
    if (!node->kids.empty()) expect_op(",");
    if (current_.is_op("]")) break;
    node->kids.push_back(parse_expression());
  }
  expect_op("]");
  return wrap(std::move(node));
}

NodePtr Parser::parse_dict() {
  NodePtr node = make(NodeKind::dict);
  expect_op("{");
  while (!current_.is_op("}")) {
    if (!node->kids.empty()) expect_op(",");
    if (current_.is_op("}")) break;
    node->kids.push_back(parse_expression());
    expect_op(":");
    node->kids.push_back(parse_expression());
  }
  expect_op("}");
  return wrap(std::move(node));
}

}  // namespace longshot::tokenizer::jinja
