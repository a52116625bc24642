#include "math/symbolic/normal_form.h"

#include <stdexcept>
#include <vector>

namespace longshot::math {
namespace {

using GiNaC::ex;
using GiNaC::ex_to;
using GiNaC::is_a;
using GiNaC::numeric;

// Trial division stops there; the remaining factor is treated as a prime.
constexpr long kLargestPrime = 10000;
constexpr long kLargestPower = 300;
constexpr long kLargestFactorial = 5000;
constexpr long kLargestShift = 50;

struct PrimePower {
  numeric prime;
  int exponent;
};

std::vector<PrimePower> factors_of(numeric n) {
  std::vector<PrimePower> out;
  for (long p = 2; p <= kLargestPrime && n >= numeric(p) * numeric(p); ++p) {
    int k = 0;
    for (; GiNaC::irem(n, numeric(p)).is_zero(); ++k) n = GiNaC::iquo(n, numeric(p));
    if (k > 0) out.push_back({numeric(p), k});
  }
  if (n > 1) out.push_back({n, 1});
  return out;
}

bool is_positive(const ex& e) {
  return e.info(GiNaC::info_flags::positive);
}
bool is_rational(const ex& e) {
  return is_a<numeric>(e) && ex_to<numeric>(e).is_rational();
}

// A positive rational number to a rational power, over its primes: 12^(1/2) = 2 * 3^(1/2).
ex prime_roots(const numeric& base, const numeric& exponent) {
  ex out = 1;
  for (const auto& [p, k] : factors_of(base.numer())) out *= GiNaC::pow(p, exponent * k);
  for (const auto& [p, k] : factors_of(base.denom())) out *= GiNaC::pow(p, -exponent * k);
  return out;
}

ex prime_logarithms(const numeric& x) {
  ex out = 0;
  for (const auto& [p, k] : factors_of(x.numer())) out += k * GiNaC::log(p);
  for (const auto& [p, k] : factors_of(x.denom())) out -= k * GiNaC::log(p);
  return out;
}

numeric to_numeric(const mpq_class& q) {
  return numeric(q.get_num().get_str().c_str()) / numeric(q.get_den().get_str().c_str());
}

// x^2 + 2x + 1 -> (x+1)^2, so that its root is recognised.
ex without_squares(const ex& e) {
  if (!is_a<GiNaC::add>(e) || !e.info(GiNaC::info_flags::rational_polynomial)) return e;
  return GiNaC::sqrfree(e);
}

// (n + 2)! = n! (n + 1) (n + 2), so that factorials of neighbours cancel.
ex factorial_of(const ex& x) {
  const ex expanded = x.expand();
  if (is_a<numeric>(expanded)) {
    const numeric& n = ex_to<numeric>(expanded);
    if (n > kLargestFactorial) throw std::length_error("a factorial is too large");
    return GiNaC::factorial(n);
  }
  ex constant = 0;
  if (is_a<GiNaC::add>(expanded)) {
    for (const ex& term : expanded) {
      if (is_a<numeric>(term)) constant = term;
    }
  }
  const numeric& k = ex_to<numeric>(constant);
  if (!k.is_integer() || GiNaC::abs(k) > kLargestShift) return GiNaC::factorial(expanded);
  const ex base = expanded - constant;
  ex out = GiNaC::factorial(base);
  for (int i = 1; i <= k.to_int(); ++i) out *= base + i;
  for (int i = 0; i > k.to_int(); --i) out /= base + i;
  return out;
}

}  // namespace

ex NormalForm::variable(const std::string& name) {
  auto& known = variables_[name];
  if (!is_a<GiNaC::symbol>(known)) {
    if (positive_) {
      known = GiNaC::possymbol(name);
    } else {
      known = GiNaC::realsymbol(name);
    }
  }
  return known;
}

ex NormalForm::convert(const Expression& e) {
  using Kind = Expression::Kind;
  if (e.kind == Kind::number) return to_numeric(e.value);
  if (e.kind == Kind::function) return call(e);
  if (e.kind == Kind::power) {
    const ex exponent = convert(e.args[1]);
    const bool exponential = e.args[0] == symbol("e");
    return exponential ? ex(GiNaC::exp(exponent)) : power_of(convert(e.args[0]), exponent);
  }
  if (e.kind == Kind::symbol) {
    if (e.name == "pi") return GiNaC::Pi;
    if (e.name == "e") return GiNaC::exp(ex(1));
    if (e.name == "i") return GiNaC::I;
    return variable(e.name);
  }
  ex out = e.kind == Kind::sum ? 0 : 1;
  for (const auto& arg : e.args)
    out = e.kind == Kind::sum ? out + convert(arg) : out * convert(arg);
  return out;
}

ex NormalForm::power_of(const ex& base, const ex& exponent) {
  if (is_rational(exponent)) return rational_power(base, ex_to<numeric>(exponent));
  if (is_rational(base) && is_positive(base)) {
    ex out = 1;  // 4^n = 2^(2n)
    for (const auto& [p, k] : factors_of(ex_to<numeric>(base).numer()))
      out *= GiNaC::pow(p, (k * exponent).expand());
    for (const auto& [p, k] : factors_of(ex_to<numeric>(base).denom()))
      out *= GiNaC::pow(p, (-k * exponent).expand());
    return out;
  }
  return GiNaC::pow(base, exponent);
}

ex NormalForm::rational_power(const ex& base, const numeric& exponent) {
  if (exponent.is_integer()) {
    if (GiNaC::abs(exponent) > kLargestPower) throw std::length_error("a power is too large");
    return GiNaC::pow(base, exponent);
  }
  if (is_rational(base) && is_positive(base)) return prime_roots(ex_to<numeric>(base), exponent);
  const ex e = without_squares(base);
  if (is_a<GiNaC::mul>(e)) {
    ex inside = 1, outside = 1;
    for (const ex& factor : e) {
      const bool square = is_a<GiNaC::power>(factor) &&
                          factor.op(1).info(GiNaC::info_flags::even) &&
                          factor.op(0).info(GiNaC::info_flags::real);
      if (is_positive(factor) || square) {
        outside *= rational_power(factor, exponent);
      } else {
        inside *= factor;
      }
    }
    return outside * GiNaC::pow(inside, exponent);
  }
  if (is_a<GiNaC::power>(e) && is_positive(e.op(0)))
    return power_of(e.op(0), (e.op(1) * exponent).expand());
  if (is_a<GiNaC::power>(e) && e.op(1).info(GiNaC::info_flags::even) &&
      e.op(0).info(GiNaC::info_flags::real)) {
    return power_of(GiNaC::abs(e.op(0)), e.op(1) * exponent);
  }
  if (is_a<GiNaC::add>(e)) {
    const numeric content = e.integer_content();
    if (content > 0 && !content.is_equal(1)) {
      return prime_roots(content, exponent) * GiNaC::pow((e / content).expand(), exponent);
    }
  }
  return GiNaC::pow(e, exponent);
}

ex NormalForm::logarithm(const ex& x) {
  if (is_rational(x) && is_positive(x)) return prime_logarithms(ex_to<numeric>(x));
  if (is_a<GiNaC::power>(x) && is_positive(x.op(0))) return x.op(1) * logarithm(x.op(0));
  if (is_a<GiNaC::mul>(x)) {
    ex out = 0, rest = 1;
    for (const ex& factor : x) {
      if (is_positive(factor)) {
        out += logarithm(factor);
      } else {
        rest *= factor;
      }
    }
    return rest.is_equal(1) ? out : out + GiNaC::log(rest);
  }
  return GiNaC::log(x);
}

ex NormalForm::call(const Expression& e) {
  const ex x = convert(e.args[0]);
  const std::string& f = e.name;
  if (f == "abs") return GiNaC::abs(x);
  if (f == "sin") return GiNaC::sin(x);
  if (f == "cos") return GiNaC::cos(x);
  if (f == "tan") return GiNaC::sin(x) / GiNaC::cos(x);
  if (f == "cot") return GiNaC::cos(x) / GiNaC::sin(x);
  if (f == "sec") return 1 / GiNaC::cos(x);
  if (f == "csc") return 1 / GiNaC::sin(x);
  if (f == "arcsin") return GiNaC::asin(x);
  if (f == "arccos") return GiNaC::Pi / 2 - GiNaC::asin(x);
  if (f == "arctan") return GiNaC::atan(x);
  if (f == "arccot") return GiNaC::Pi / 2 - GiNaC::atan(x);
  if (f == "sinh") return (GiNaC::exp(x) - GiNaC::exp(-x)) / 2;
  if (f == "cosh") return (GiNaC::exp(x) + GiNaC::exp(-x)) / 2;
  if (f == "tanh") return (GiNaC::exp(2 * x) - 1) / (GiNaC::exp(2 * x) + 1);
  if (f == "ln") return logarithm(x);
  if (f == "log") return logarithm(convert(e.args[1])) / logarithm(x);
  if (f == "root") return power_of(x, 1 / convert(e.args[1]));
  if (f == "factorial") return factorial_of(x);
  if (f == "binomial") {
    const ex k = convert(e.args[1]);
    return factorial_of(x) / (factorial_of(k) * factorial_of(x - k));
  }
  // All other functions become names that are equal only to themselves.
  return variable(to_wire(e));
}

bool NormalForm::proves_equal(const Expression& a, const Expression& b) {
  const ex difference = convert(a) - convert(b);
  if (difference.expand().is_zero()) return true;
  return difference.numer().expand().is_zero();
}

}  // namespace longshot::math
