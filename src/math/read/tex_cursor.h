#pragma once
// A reading position in plain mathematics that recognises commands, names, groups and numbers.

#include <gmpxx.h>

#include <optional>
#include <string>
#include <string_view>

namespace longshot::math {

// The function that a word or command stands for ("arctg": "arctan"); empty if there is none.
std::string_view function_name(std::string_view written);
// "pi" or "oo" for a word that stands for a constant; empty for other words.
std::string_view constant_name(std::string_view word);
// arcsin for sin; empty for a function whose inverse has no name.
std::string_view inverse_function(std::string_view name);
bool is_greek(std::string_view command);
// \overline, \vec, ...: with their argument they make a name.
bool is_decoration(std::string_view command);
// \sum, \prod, \int, \oint, \lim
bool has_limits(std::string_view command);
// Converts a text to a part of a symbol's name (math/symbolic/expression.h), without spaces, braces
// and parentheses.
std::string wire_name(std::string_view text);

// The position after a number with thousands groups and decimals that starts at `i`; i if there is
// none.
size_t skip_literal(std::string_view text, size_t i);

class TexCursor {
 public:
  struct Literal {
    mpq_class value;
    bool decimal = false;
  };

  explicit TexCursor(std::string_view text) : text_(text) {}

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char next();  // the character after spaces, which are skipped
  bool at_end() { return next() == '\0' && at_ == text_.size(); }
  bool eat(char c);
  void step() { ++at_; }
  bool behind(char c) const { return at_ > 0 && text_[at_ - 1] == c; }
  bool starts_with(std::string_view what) const { return text_.substr(at_, what.size()) == what; }

  // The command name at the position, without its backslash; empty when there is none.
  std::string_view command();
  bool eat_command(std::string_view name);
  // The letters at the position.
  std::string_view letters() const;
  void skip(size_t characters) { at_ += characters; }
  size_t position() const { return at_; }
  void go_to(size_t position) { at_ = position; }
  std::string_view since(size_t position) const { return text_.substr(position, at_ - position); }

  // Skips {...} and returns its content; empty if the group does not end.
  std::string_view braced();
  // Reads the text after _: {...}, a letter or digits. Empty if there is none, or {...} is over 40
  // characters long.
  std::string_view subscript();
  // Reads 12, 1,234.5, 0.1\overline{6}; at most 1,000 digits.
  std::optional<Literal> literal();

 private:
  std::optional<Literal> repeating(const mpq_class& head, size_t decimals);

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace longshot::math
