#pragma once
// The structure of an answer: lists, intervals, sets, relations, matrices, values.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "math/read/rational.h"
#include "math/symbolic/expression.h"

namespace longshot::math {

struct Answer {
  enum class Kind : char {
    text,      // anything else
    value,     // a number or an expression, with a unit
    list,      // parts, between the brackets open and close; 0 for a bare list, ':' for a ratio,
               // '<' for angle brackets
    relation,  // parts joined by signs: = \approx < > \le \ge \ne
    set,       // parts joined by signs: \cup \cap \setminus; a builder \{x \in S | ...\} has the
               // sign '|', and as parts the condition and, if it is given, S
    matrix,    // parts are the entries, row by row
  };

  Kind kind = Kind::text;
  std::string text;  // as it was read
  std::optional<Number> number;
  std::optional<Expression> expression;  // of a value, without its unit
  std::string unit;
  char open = 0, close = 0;
  bool alternatives = false;  // a bare list that came from \pm
  bool either = false;        // a bare list with "or" between its parts
  std::vector<Answer> parts;
  std::vector<std::string> signs;
  size_t columns = 0;

  bool is_bare() const { return kind == Kind::list && open == 0; }
  bool is_builder() const { return kind == Kind::set && signs[0] == "|"; }
};

// Reads plain_math text. Never fails: unrecognised input becomes Kind::text. With keep_thousands,
// 1,234 is a number and not a list. x \in S is S; a \pm b is a bare list of two; ";" separates
// lists whose parts are separated by ","; ]a;b] is (a;b]. Two to four lower-case letters that are
// not a word, such as yx, are a product. Work is bounded: texts over 4,000 characters, more than
// 200 parts or 8 levels are Kind::text.
Answer read_answer(std::string_view plain, bool keep_thousands);

// True if the left side of "= value" only names the value: it has letters, possibly with indices,
// arguments, bars and ratios, but no arithmetic. Examples: x, f(2), S_1:S, \frac{NO}{BO}, (p,q).
bool is_name(std::string_view side);

}  // namespace longshot::math
