#pragma once
// An arithmetic expression as a tree, and its form on the wire to the symbolic worker.

#include <gmpxx.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longshot::math {

// Value semantics; thread-safe to read.
struct Expression {
  enum class Kind : char {
    number,    // value
    symbol,    // name: a variable, or one of the constants "pi", "e", "i", "oo"
    sum,       // args, at least one
    product,   // args, at least one
    power,     // args[0] ^ args[1]
    function,  // name(args): is_function() lists the names
  };

  Kind kind = Kind::number;
  bool decimal = false;  // a number written with a decimal point or an exponent of ten
  mpq_class value;
  std::string name;
  std::vector<Expression> args;

  bool operator==(const Expression& other) const;
};

Expression number(mpq_class value, bool decimal = false);
Expression symbol(std::string name);
Expression sum(std::vector<Expression> terms);
Expression product(std::vector<Expression> factors);
Expression power(Expression base, Expression exponent);
Expression function(std::string name, std::vector<Expression> args);
Expression negative(Expression x);

// abs sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh ln floor ceil factorial
// (one argument); log (base, x); root (x, degree): the real root of odd degree for negative x;
// binomial (n, k). The value f(x) of an unknown function is a symbol.
bool is_function(std::string_view name);
bool is_constant_name(std::string_view name);

// True if e or one of its parts satisfies the predicate.
template <typename Predicate>
bool any_part(const Expression& e, const Predicate& predicate) {
  if (predicate(e)) return true;
  for (const auto& arg : e.args) {
    if (any_part(arg, predicate)) return true;
  }
  return false;
}
bool has_variables(const Expression& e);
bool has_decimals(const Expression& e);
// The value of a sum, product or small whole power of numbers; nullopt for anything else.
std::optional<mpq_class> rational_value(const Expression& e);
size_t count_parts(const Expression& e);
// Distinct variables in the order of their names.
std::vector<std::string> variables_of(const Expression& e);

// Prefix notation: 3/4, 0.5 as ~1/2, $x, (+ a b), (* a b), (^ a b), (sin a). One line.
std::string to_wire(const Expression& e);
// Returns nullopt for anything that to_wire does not write, and for nesting deeper than 200.
std::optional<Expression> from_wire(std::string_view text);

}  // namespace longshot::math
