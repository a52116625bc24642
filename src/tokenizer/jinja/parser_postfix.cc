// Parsing of attributes, items, calls, filters and tests.
#include <fmt/format.h>

#include "tokenizer/jinja/parser.h"
#include "tokenizer/jinja/parser_nest.h"

namespace longshot::tokenizer::jinja {

NodePtr Parser::parse_postfix(NodePtr node) {
  while (true) {
    if (current_.is_op(".") || current_.is_op("[")) {
      node = parse_subscript(std::move(node));
    } else if (current_.is_op("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

// Filters, tests, and calls of their results. `node` is null in set blocks.
NodePtr Parser::parse_filters(NodePtr node) {
  while (true) {
    if (take_op("|")) {
      node = parse_filter(std::move(node));
    } else if (node != nullptr && current_.is_name("is")) {
      node = parse_test(std::move(node));
    } else if (node != nullptr && current_.is_op("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

NodePtr Parser::parse_filter(NodePtr input) {
  NodePtr node = make(NodeKind::filter);
  node->callee = expect_name();
  while (take_op(".")) node->callee += "." + expect_name();
  node->filter = find_filter(node->callee);
  if (node->filter == nullptr && why_unsupported(node->callee) != nullptr)
    fail_here(fmt::format("the filter '{}' is not supported: {}", node->callee,
                          why_unsupported(node->callee)));
  if (node->filter == nullptr) note_unknown(fmt::format("No filter named '{}'.", node->callee));
  if (current_.is_op("(")) node->arguments = parse_arguments();
  node->kids.push_back(std::move(input));
  return wrap(std::move(node));
}

NodePtr Parser::parse_test(NodePtr input) {
  advance();
  const bool negated = take_name("not");
  NodePtr node = make(NodeKind::test);
  node->callee = expect_name();
  while (take_op(".")) node->callee += "." + expect_name();
  node->test = find_test(node->callee);
  if (node->test == nullptr) note_unknown(fmt::format("No test named '{}'.", node->callee));
  const bool word = current_.type == TokenType::name && !current_.is_name("else") &&
                    !current_.is_name("or") && !current_.is_name("and");
  const bool literal = current_.type == TokenType::string || current_.type == TokenType::number ||
                       current_.is_op("[") || current_.is_op("{");
  if (current_.is_op("(")) {
    node->arguments = parse_arguments();
  } else if (word || literal) {
    if (current_.is_name("is")) fail_here("You cannot chain multiple tests with is");
    node->arguments = std::make_unique<CallArguments>();
    node->arguments->positional.push_back(parse_postfix(parse_primary()));
  }
  node->kids.push_back(std::move(input));
  node = wrap(std::move(node));
  return negated ? make(NodeKind::negation, std::move(node)) : std::move(node);
}

NodePtr Parser::parse_subscript(NodePtr owner) {
  if (take_op(".")) {
    if (current_.type == TokenType::number && current_.value.is(Type::integer)) {
      NodePtr index = make(NodeKind::constant);
      index->value = keep(current_.value);
      advance();
      return make(NodeKind::item, std::move(owner), std::move(index));
    }
    NodePtr node = make(NodeKind::attribute, std::move(owner));
    node->line = current_.line;
    node->member = std::make_unique<Member>(keep(Value::string(expect_name())));
    return node;
  }
  expect_op("[");
  bool slice = false;
  NodePtr node = parse_subscribed(std::move(owner), &slice);
  if (!slice && current_.is_op(",")) {
    NodePtr tuple = make(NodeKind::tuple);
    tuple->kids.push_back(std::move(node->kids[1]));
    while (take_op(",")) tuple->kids.push_back(parse_expression());
    node->kids[1] = wrap(std::move(tuple));
    node = wrap(std::move(node));
  }
  expect_op("]");
  return node;
}

// The content of brackets: an index, or start:stop:step, each part of which may be omitted.
NodePtr Parser::parse_subscribed(NodePtr owner, bool* slice) {
  const auto part = [&]() -> NodePtr {
    const bool absent = current_.is_op(":") || current_.is_op("]") || current_.is_op(",");
    return absent ? nullptr : parse_expression();
  };
  if (current_.is_op("]")) fail_here("an index is expected");
  NodePtr start = part();
  if (!take_op(":")) {
    if (start == nullptr) fail_here("an index is expected");
    return make(NodeKind::item, std::move(owner), std::move(start));
  }
  *slice = true;
  NodePtr node = make(NodeKind::slice, std::move(owner));
  node->kids.push_back(std::move(start));
  node->kids.push_back(part());
  node->kids.push_back(take_op(":") ? part() : nullptr);
  return wrap(std::move(node));
}

NodePtr Parser::parse_call(NodePtr callee) {
  NodePtr node = make(NodeKind::call, std::move(callee));
  node->line = current_.line;
  node->arguments = parse_arguments();
  return node;
}

std::unique_ptr<CallArguments> Parser::parse_arguments() {
  const Nest nest(*this);
  auto out = std::make_unique<CallArguments>();
  const auto ensure = [&](bool right) {
    if (!right) fail_here("invalid syntax for function call expression");
  };
  expect_op("(");
  for (bool first = true; !current_.is_op(")"); first = false) {
    if (!first) expect_op(",");
    if (!first && current_.is_op(")")) break;
    if (take_op("*")) {
      ensure(out->star == nullptr && out->double_star == nullptr);
      out->star = parse_expression();
    } else if (take_op("**")) {
      ensure(out->double_star == nullptr);
      out->double_star = parse_expression();
    } else if (current_.type == TokenType::name && ahead_.is_op("=")) {
      ensure(out->double_star == nullptr);
      const std::string name = expect_name();
      advance();
      for (const auto& [other, value] : out->named)
        if (other == name) fail_here(fmt::format("keyword argument repeated: {}", name));
      out->named.emplace_back(name, parse_expression());
    } else {
      ensure(out->star == nullptr && out->double_star == nullptr && out->named.empty());
      out->positional.push_back(parse_expression());
    }
  }
  expect_op(")");
  return out;
}

}  // namespace longshot::tokenizer::jinja
