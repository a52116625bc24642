#include "math/symbolic/high_precision.h"

#include <cln/float.h>
#include <cln/real.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <new>

namespace longshot::math {

using GiNaC::ex_to;
using GiNaC::numeric;
using State = HighPrecision::State;
using Value = HighPrecision::Value;

namespace {

constexpr double kZero = -1e300;
// log10 of a factor for the higher orders that the bounds omit and for the rounding of magnitude()
constexpr double kSlack = 0.7;

numeric as_float(const numeric& x) {
  return ex_to<numeric>(GiNaC::ex(x).evalf());
}
numeric as_float(const mpq_class& q) {
  return as_float(numeric(q.get_num().get_str().c_str()) / numeric(q.get_den().get_str().c_str()));
}
numeric pi() {
  return ex_to<numeric>(GiNaC::Pi.evalf());
}

double magnitude_of(const cln::cl_R& x) {
  if (cln::zerop(x)) return kZero;
  const cln::cl_F f = cln::cl_float(x, cln::float_format(20));
  return (static_cast<double>(cln::float_exponent(f)) - 0.5) * 0.30103;
}

double rounding(const numeric& x) {
  return magnitude(x) - static_cast<double>(GiNaC::Digits);
}

// A defined value whose arguments contribute an error of 10^error.
Value defined(const numeric& x, double error = kZero) {
  return {State::defined, x, std::max(error, rounding(x)) + kSlack};
}
Value undefined() {
  return {State::undefined, 0, 0};
}

// True if x cannot be distinguished from 0.
bool negligible(const Value& x) {
  return magnitude(x.value) <= x.error + 5;
}
double relative_error(const Value& x) {
  return x.error - magnitude(x.value);
}

Value sum_of(const std::vector<Value>& terms) {
  numeric out = 0;
  double error = kZero;
  for (const auto& t : terms) {
    out = out + t.value;
    error = std::max({error, t.error, rounding(t.value), rounding(out)});
  }
  return defined(out, error + std::log10(static_cast<double>(terms.size())));
}

Value product_of(const std::vector<Value>& factors) {
  Value out = factors[0];
  for (size_t i = 1; i < factors.size(); ++i) {
    const Value& f = factors[i];
    out = defined(out.value * f.value,
                  std::max({magnitude(out.value) + f.error, magnitude(f.value) + out.error,
                            out.error + f.error}));
  }
  return out;
}

Value ratio(const Value& top, const Value& bottom) {
  if (negligible(bottom)) return {};
  const numeric out = top.value / bottom.value;
  return defined(
      out, std::max(top.error - magnitude(bottom.value), magnitude(out) + relative_error(bottom)));
}

}  // namespace

double magnitude(const numeric& x) {
  const cln::cl_N z = x.to_cl_N();
  return std::max(magnitude_of(cln::realpart(z)), magnitude_of(cln::imagpart(z)));
}

Value HighPrecision::evaluate(const Expression& e) const {
  try {
    return compute(e);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {
    return {};  // overflow, a pole
  }
}

Value HighPrecision::compute(const Expression& e) const {
  using Kind = Expression::Kind;
  if (e.kind == Kind::number || e.kind == Kind::symbol) return leaf(e);
  std::vector<Value> args;
  bool is_undefined = false;
  for (const auto& arg : e.args) {
    args.push_back(evaluate(arg));
    if (args.back().state == State::unclear) return {};
    is_undefined |= args.back().state == State::undefined;
  }
  if (is_undefined) return undefined();
  if (e.kind == Kind::power) return power_of(e, args[0], args[1]);
  if (e.kind == Kind::function) return call(e, args);
  return e.kind == Kind::sum ? sum_of(args) : product_of(args);
}

Value HighPrecision::leaf(const Expression& e) const {
  if (e.kind == Expression::Kind::number) return defined(as_float(e.value));
  if (e.name == "pi") return defined(pi());
  if (e.name == "e") return defined(GiNaC::exp(as_float(numeric(1))));
  if (e.name == "i") return complex_ ? defined(GiNaC::I) : Value{};
  const auto it = point_.find(e.name);
  return it == point_.end() ? Value{} : defined(as_float(it->second));
}

Value HighPrecision::power_of(const Expression& e, const Value& base, const Value& exponent) const {
  if (e.args[1].kind == Expression::Kind::number) return rational_power(base, e.args[1].value);
  if (negligible(base)) return {};
  if (!complex_ && base.value < 0) return undefined();
  const numeric log = GiNaC::log(base.value);
  const numeric out = GiNaC::exp(exponent.value * log);
  const double relative =
      std::max({magnitude(exponent.value) + relative_error(base), magnitude(log) + exponent.error,
                rounding(exponent.value * log)});
  return defined(out, magnitude(out) + relative);
}

Value HighPrecision::rational_power(const Value& base, const mpq_class& exponent) const {
  if (!exponent.get_num().fits_sint_p() || abs(exponent.get_num()) > 100000) return {};
  const int top = static_cast<int>(exponent.get_num().get_si());
  if (top == 0) return negligible(base) ? Value{} : defined(1);
  if (base.value.is_zero() && top > 0) return defined(0, base.error);
  if (negligible(base) && (top < 0 || exponent.get_den() != 1)) return {};
  const double relative = relative_error(base) + std::log10(1 + std::abs(exponent.get_d()));
  const auto result = [&](const numeric& x) { return defined(x, magnitude(x) + relative); };
  if (exponent.get_den() == 1) return result(GiNaC::pow(base.value, numeric(top)));
  const numeric size = as_float(exponent);
  if (complex_ || base.value > 0) return result(GiNaC::exp(size * GiNaC::log(base.value)));
  if (mpz_even_p(exponent.get_den_mpz_t())) return undefined();
  const numeric root = GiNaC::exp(size * GiNaC::log(-base.value));
  return result(top % 2 == 0 ? root : -root);
}

Value HighPrecision::logarithm(const Value& x) const {
  if (negligible(x)) return {};
  if (!complex_ && x.value < 0) return undefined();
  return defined(GiNaC::log(x.value), relative_error(x));
}

Value HighPrecision::arc(const std::string& name, const Value& x) const {
  if (name == "arctan") return defined(GiNaC::atan(x.value), x.error);
  if (name == "arccot") return defined(pi() / 2 - GiNaC::atan(x.value), x.error);
  const Value margin = defined(1 - GiNaC::abs(x.value), std::max(x.error, rounding(1)));
  if (negligible(margin)) return {};
  if (!complex_ && margin.value < 0) return undefined();
  const double error = std::max(x.error, rounding(1)) - magnitude(margin.value) / 2;
  return defined(name == "arcsin" ? GiNaC::asin(x.value) : GiNaC::acos(x.value), error);
}

namespace {

Value stepped(const Value& x, bool up) {
  if (!x.value.is_real()) return {};
  const cln::cl_R real = cln::realpart(x.value.to_cl_N());
  const numeric nearest(cln::round1(real));
  // A value that is within its error of a whole number is treated as that number.
  const bool whole = magnitude(x.value - nearest) <= x.error + 5;
  return defined(whole ? nearest : numeric(up ? cln::ceiling1(real) : cln::floor1(real)));
}

// n! and binomials of whole numbers; the gamma function is not available in long floats.
Value whole_function(const std::string& name, const std::vector<Value>& args) {
  std::vector<numeric> whole;
  for (const auto& arg : args) {
    if (!arg.value.is_real() || arg.value < -0.5 || arg.value > 5000) return {};
    const numeric nearest(cln::round1(cln::realpart(arg.value.to_cl_N())));
    if (magnitude(arg.value - nearest) > arg.error + 5) return {};
    whole.push_back(nearest);
  }
  if (name == "factorial") return defined(as_float(GiNaC::factorial(whole[0])));
  return defined(as_float(GiNaC::binomial(whole[0], whole[1])));
}

// sin and cos lose the digits that the whole turns in their argument take up.
Value turn(const numeric& out, const Value& x) {
  return defined(out, std::max(x.error, rounding(x.value)));
}

Value exponential(const numeric& out, const Value& x) {
  return defined(out, std::max(magnitude(out), 0.0) + std::max(x.error, rounding(1)));
}

}  // namespace

Value HighPrecision::call(const Expression& e, const std::vector<Value>& args) const {
  const Value& x = args[0];
  const std::string& f = e.name;
  if (f == "abs") return defined(GiNaC::abs(x.value), x.error);
  if (f == "floor" || f == "ceil") return stepped(x, f == "ceil");
  if (f == "factorial" || f == "binomial") return whole_function(f, args);
  if (f == "ln") return logarithm(x);
  if (f == "log") {
    const Value base = logarithm(x), log = logarithm(args[1]);
    if (base.state != State::defined) return base;
    return log.state != State::defined ? log : ratio(log, base);
  }
  if (f == "root") {
    const auto& degree = e.args[1];
    if (degree.kind != Expression::Kind::number || degree.value <= 0) return {};
    return rational_power(x, 1 / degree.value);
  }
  if (f.starts_with("arc")) return arc(f, x);
  if (f.ends_with('h')) {
    const Value sinh = exponential(GiNaC::sinh(x.value), x);
    const Value cosh = exponential(GiNaC::cosh(x.value), x);
    return f == "sinh" ? sinh : f == "cosh" ? cosh : ratio(sinh, cosh);
  }
  const Value sin = turn(GiNaC::sin(x.value), x), cos = turn(GiNaC::cos(x.value), x);
  if (f == "sin") return sin;
  if (f == "cos") return cos;
  if (f == "tan") return ratio(sin, cos);
  if (f == "cot") return ratio(cos, sin);
  return ratio(defined(1), f == "sec" ? cos : sin);
}

}  // namespace longshot::math
