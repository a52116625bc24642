#include "math/symbolic/evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace longshot::math {
namespace {

using State = Approximation::State;
using Point = std::map<std::string, double>;

constexpr double kEps = 4 * std::numeric_limits<double>::epsilon();
constexpr int kPoints = 6;
// Coordinates without a simple relation; the k-th point gives variable j entry (5 k + 3 j) of them.
constexpr double kCoordinates[] = {0.7320413, 1.6180551, 2.4142731, 0.3819743, 3.2718367, 1.1459263,
                                   0.5671433, 2.7645121, 1.9021131, 4.6692017, 0.2614972};

Approximation defined(double value, double error) {
  error += kEps * std::abs(value);
  if (!std::isfinite(value) || !std::isfinite(error)) return {};
  // A first-order bound says nothing once it is not small.
  if (error > 1e-4 * std::max(1.0, std::abs(value))) return {};
  return {State::defined, value, error};
}
Approximation undefined() {
  return {State::undefined, 0, 0};
}

Approximation sum_of(const std::vector<Approximation>& terms) {
  double value = 0, error = 0;
  for (const auto& t : terms) {
    value += t.value;
    error += t.error + kEps * (std::abs(t.value) + std::abs(value));
  }
  return defined(value, error);
}

Approximation product_of(const std::vector<Approximation>& factors) {
  double value = 1, error = 0;
  for (const auto& f : factors) {
    error = std::abs(value) * f.error + std::abs(f.value) * error + error * f.error;
    value *= f.value;
    error += kEps * std::abs(value);
  }
  return defined(value, error);
}

// base^(p/q) for an exponent that is a literal.
Approximation rational_power(const Approximation& base, const mpq_class& exponent) {
  const double a = base.value, n = exponent.get_d();
  const bool odd_root = mpz_odd_p(exponent.get_den_mpz_t()) != 0;
  if (std::abs(a) <= base.error && (base.error > 0 || n <= 0)) return {};
  if (a < 0 && !odd_root) return undefined();
  if (a == 0) return defined(0, 0);
  const bool minus = a < 0 && mpz_odd_p(exponent.get_num_mpz_t()) != 0;
  const double size = std::pow(std::abs(a), n);
  return defined(minus ? -size : size, 2 * size * std::abs(n) * (base.error / std::abs(a) + kEps));
}

Approximation power_of(const Approximation& base, const Approximation& exponent) {
  const double a = base.value, b = exponent.value;
  if (std::abs(a) <= base.error) return {};
  if (a < 0) return exponent.error == 0 && b == std::floor(b) ? Approximation{} : undefined();
  const double size = std::pow(a, b);
  return defined(size, 2 * size *
                           (std::abs(b) * base.error / a + std::abs(std::log(a)) * exponent.error +
                            kEps * (1 + std::abs(b))));
}

Approximation root_of(const Approximation& x, const Approximation& degree) {
  const double n = degree.value;
  if (n != std::floor(n) || n < 1 || n > 1000) return {};
  return rational_power(x, mpq_class(1, static_cast<unsigned long>(n)));
}

Approximation from_derivative(double value, double derivative, double error) {
  return defined(value, 2 * std::abs(derivative) * error + kEps);
}

// Near a pole, where the denominator cannot be distinguished from 0, the value is unclear.
Approximation ratio(double top, double bottom, double error) {
  if (std::abs(bottom) < 1e-6) return {};
  const double value = top / bottom;
  return from_derivative(value, (1 + value * value) / std::abs(bottom), error);
}

Approximation logarithm(const Approximation& x) {
  if (x.value < -x.error) return undefined();
  if (x.value <= x.error) return {};
  return from_derivative(std::log(x.value), 1 / x.value, x.error);
}

Approximation arc(const std::string& name, const Approximation& x) {
  const double v = x.value;
  if (name == "arctan") return from_derivative(std::atan(v), 1, x.error);
  if (name == "arccot") return from_derivative(M_PI_2 - std::atan(v), 1, x.error);
  if (std::abs(v) > 1 + x.error) return undefined();
  if (std::abs(v) >= 1 - 1e-9) return {};
  const double derivative = 1 / std::sqrt(1 - v * v);
  return from_derivative(name == "arcsin" ? std::asin(v) : std::acos(v), derivative, x.error);
}

Approximation stepped(double value, double x, double error) {
  const double to_integer = std::abs(x - std::round(x));
  return to_integer <= error && error > 0 ? Approximation{} : defined(value, 0);
}

Approximation factorial_of(const Approximation& x) {
  if (x.value > 150 || x.value < 0) return {};
  return from_derivative(std::tgamma(x.value + 1), std::tgamma(x.value + 1) * 6, x.error + kEps);
}

Approximation unary(const std::string& name, const Approximation& x) {
  const double v = x.value, e = x.error;
  if (name == "abs") return defined(std::abs(v), e);
  if (name == "sin") return from_derivative(std::sin(v), 1, e + kEps * std::abs(v));
  if (name == "cos") return from_derivative(std::cos(v), 1, e + kEps * std::abs(v));
  if (name == "tan") return ratio(std::sin(v), std::cos(v), e + kEps * (1 + std::abs(v)));
  if (name == "cot") return ratio(std::cos(v), std::sin(v), e + kEps * (1 + std::abs(v)));
  if (name == "sec") return ratio(1, std::cos(v), e + kEps * (1 + std::abs(v)));
  if (name == "csc") return ratio(1, std::sin(v), e + kEps * (1 + std::abs(v)));
  if (name == "sinh") return from_derivative(std::sinh(v), std::cosh(v), e);
  if (name == "cosh") return from_derivative(std::cosh(v), std::cosh(v), e);
  if (name == "tanh") return from_derivative(std::tanh(v), 1, e);
  if (name == "ln") return logarithm(x);
  if (name == "floor") return stepped(std::floor(v), v, e);
  if (name == "ceil") return stepped(std::ceil(v), v, e);
  if (name == "factorial") return factorial_of(x);
  return arc(name, x);
}

Approximation call(const Expression& e, const std::vector<Approximation>& args) {
  if (args.size() == 1) return unary(e.name, args[0]);
  if (args.size() != 2) return {};
  if (e.name == "root") return root_of(args[0], args[1]);
  if (e.name != "log") return {};
  const auto base = logarithm(args[0]), x = logarithm(args[1]);
  if (base.state != State::defined) return base;
  if (x.state != State::defined) return x;
  if (std::abs(base.value) < 1e-6) return {};
  return defined(x.value / base.value, 2 * (x.error + base.error * std::abs(x.value / base.value)) /
                                           std::abs(base.value));
}

Approximation leaf(const Expression& e, const Point& point) {
  if (e.kind == Expression::Kind::number) {
    const double v = e.value.get_d();
    const bool exact = e.value.get_den() == 1 && std::abs(v) < 9e15;
    return exact ? Approximation{State::defined, v, 0} : defined(v, 0);
  }
  if (e.name == "pi") return defined(M_PI, 0);
  if (e.name == "e") return defined(M_E, 0);
  const auto it = point.find(e.name);
  return it == point.end() ? Approximation{} : defined(it->second, 0);
}

Point make_point(const std::vector<std::string>& names, int k, bool positive) {
  Point point;
  constexpr size_t kCount = std::size(kCoordinates);
  for (size_t j = 0; j < names.size(); ++j) {
    const double size = kCoordinates[(5 * static_cast<size_t>(k) + 3 * j) % kCount];
    // The signs are the binary digits of k, so that four points cover all combinations for two
    // variables.
    const bool minus = !positive && ((k >> (j % 2)) & 1) != 0;
    point[names[j]] = minus ? -size : size;
  }
  return point;
}

bool differ_at(const Expression& a, const Expression& b, const Point& point) {
  const auto x = evaluate(a, point), y = evaluate(b, point);
  if (x.state == State::unclear || y.state == State::unclear) return false;
  if (x.state != y.state) return true;
  return x.state == State::defined && std::abs(x.value - y.value) > 4 * (x.error + y.error);
}

}  // namespace

Approximation evaluate(const Expression& e, const Point& point) {
  using Kind = Expression::Kind;
  if (e.kind == Kind::number || e.kind == Kind::symbol) return leaf(e, point);
  std::vector<Approximation> args;
  bool is_undefined = false;
  for (const auto& arg : e.args) {
    args.push_back(evaluate(arg, point));
    if (args.back().state == State::unclear) return {};
    is_undefined |= args.back().state == State::undefined;
  }
  if (is_undefined) return undefined();
  if (e.kind == Kind::sum) return sum_of(args);
  if (e.kind == Kind::product) return product_of(args);
  if (e.kind == Kind::function) return call(e, args);
  if (e.args[1].kind == Kind::number) return rational_power(args[0], e.args[1].value);
  return power_of(args[0], args[1]);
}

bool surely_different(const Expression& a, const Expression& b, bool positive) {
  auto names = variables_of(a);
  for (const auto& name : variables_of(b)) names.push_back(name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const int points = names.empty() ? 1 : kPoints;
  for (int k = 0; k < points; ++k) {
    if (differ_at(a, b, make_point(names, k, positive))) return true;
  }
  return false;
}

}  // namespace longshot::math
