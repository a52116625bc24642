#pragma once
// The tokens of a template, as in jinja2's lexer with trim_blocks and lstrip_blocks: text, and the
// names, literals and operators inside {{ }} and {% %}. Comments are removed, and raw blocks become
// text. Failures are jinja::Error.

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/jinja/python/value.h"

namespace longshot::tokenizer::jinja {

enum class TokenType {
  data,
  variable_begin,
  variable_end,
  block_begin,
  block_end,
  name,
  string,
  number,  // integer or float, in `value`
  op,      // text: "+", "==", "(", ...
  end
};

struct Token {
  TokenType type = TokenType::end;
  std::string text;  // of data, names, strings and operators
  Value value;       // of numbers
  int line = 1;

  bool is_op(std::string_view op) const { return type == TokenType::op && text == op; }
  bool is_name(std::string_view name) const { return type == TokenType::name && text == name; }
};

class Lexer {
 public:
  // The source must be valid UTF-8. It is copied with its line ends turned into "\n" and the last
  // one removed.
  explicit Lexer(std::string_view source);
  Token next();
  int line() const { return line_; }

 private:
  enum class State { root, variable, block };

  bool next_root(Token& token);
  bool next_inside(Token& token);
  bool take_end(Token& token);
  void skip_comment();
  void take_raw(size_t begin, Token& token);
  size_t raw_begin(size_t at, char* sign) const;
  std::string_view trimmed(std::string_view text, char sign, bool variable) const;
  bool take_number(Token& token);
  void take_string(Token& token);
  bool take_name(Token& token);
  void take_operator(Token& token);
  void advance(size_t end);  // moves to `end` and counts lines
  char at(size_t index) const { return index < source_.size() ? source_[index] : '\0'; }
  size_t spaces_end(size_t from) const;

  std::string source_;
  size_t pos_ = 0;
  int line_ = 1;
  State state_ = State::root;
  bool line_starting_ = true;
  std::vector<char> brackets_;  // the closing brackets that are expected
};

// Resolves the escapes of a string literal between its quotes, as Python's unicode-escape does.
std::string unescape(std::string_view literal);

}  // namespace longshot::tokenizer::jinja
