#pragma once
// The limit of the parser's recursion.

#include "tokenizer/jinja/parser.h"

namespace longshot::tokenizer::jinja {

struct Parser::Nest {
  explicit Nest(Parser& parser) : parser(parser) {
    if (++parser.nesting_ > kMaxNesting) parser.fail_here("the template nests too deeply");
  }
  ~Nest() { --parser.nesting_; }
  static constexpr int kMaxNesting = 100;
  Parser& parser;
};

}  // namespace longshot::tokenizer::jinja
