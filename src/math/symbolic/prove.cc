#include "math/symbolic/prove.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <new>

#include "base/rng.h"
#include "math/symbolic/high_precision.h"
#include "math/symbolic/normal_form.h"

namespace longshot::math {
namespace {

using State = HighPrecision::State;

constexpr int kConstantDigits = 130;
constexpr int kMaxDigits = 5000;
constexpr int kSlackDigits = 5;  // error bounds may be too small by this many digits
constexpr int kMinDigits = 60;   // values must agree in at least this many digits
constexpr int kPointDigits = 100;
constexpr int kWantedPoints = 12;
constexpr int kMaxPoints = 60;

enum class Agreement : char { agree, differ, unclear, both_undefined };

Agreement agreement_at(const Expression& a, const Expression& b, const HighPrecision::Point& point,
                       bool complex) {
  const HighPrecision at(point, complex);
  const auto x = at.evaluate(a), y = at.evaluate(b);
  if (x.state == State::unclear || y.state == State::unclear) return Agreement::unclear;
  if (x.state != y.state) return Agreement::differ;
  if (x.state == State::undefined) return Agreement::both_undefined;
  const double error = std::max(x.error, y.error) + kSlackDigits;
  if (magnitude(x.value - y.value) > error) return Agreement::differ;
  // Agreement within an error that is no longer small says nothing.
  const double size = std::max({magnitude(x.value), magnitude(y.value), 0.0});
  return error < size - kMinDigits ? Agreement::agree : Agreement::unclear;
}

bool has_i(const Expression& e) {
  return any_part(e, [](const Expression& part) {
    return part.kind == Expression::Kind::symbol && part.name == "i";
  });
}

// The number of digits needed to write the numbers in e out. It limits how close two different
// values of that form can be.
double written_digits(const Expression& e) {
  if (e.kind == Expression::Kind::number) return static_cast<double>(e.value.get_str().size());
  double out = 0;
  for (const auto& arg : e.args) out += 1 + written_digits(arg);
  const bool raised = e.kind == Expression::Kind::power && !has_variables(e) &&
                      e.args[1].kind == Expression::Kind::number;
  return raised ? out + written_digits(e.args[0]) * std::abs(e.args[1].value.get_d()) : out;
}

// Sets GiNaC's precision for a and b. Returns false if they need more than kMaxDigits.
bool set_digits(const Expression& a, const Expression& b, int least) {
  const double wanted = least + 3 * (written_digits(a) + written_digits(b));
  if (!(wanted <= kMaxDigits)) return false;
  GiNaC::Digits = static_cast<long>(wanted);
  return true;
}

Proof prove_constants(const Expression& a, const Expression& b) {
  if (!set_digits(a, b, kConstantDigits)) return Proof::unproven;
  Agreement found = agreement_at(a, b, {}, has_i(a) || has_i(b));
  if (found == Agreement::both_undefined) found = agreement_at(a, b, {}, true);
  if (found == Agreement::agree) return Proof::equal;
  return found == Agreement::differ ? Proof::different : Proof::unproven;
}

// Absolute values lie between 1/16 and 16, spread evenly over the powers of two. The signs go
// through all combinations with k.
HighPrecision::Point random_point(const std::vector<std::string>& names, int k, bool positive,
                                  CounterRng& rng) {
  HighPrecision::Point point;
  for (size_t j = 0; j < names.size(); ++j) {
    const long size = 1L << rng.next_below(8);
    const auto fraction = static_cast<long>(rng.next_below(1UL << 40));
    GiNaC::numeric x = GiNaC::numeric(size) / 16 * (1 + GiNaC::numeric(fraction) / (1L << 40));
    const bool minus = !positive && ((k >> (j % 4)) & 1) != 0;
    point[names[j]] = minus ? -x : x;
  }
  return point;
}

struct Sampling {
  int agreed = 0;
  bool differs = false;
};

Sampling sample(const Expression& a, const Expression& b, bool positive) {
  Sampling out;
  if (!set_digits(a, b, kPointDigits)) return out;
  auto names = variables_of(a);
  for (const auto& name : variables_of(b)) names.push_back(name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const bool complex = has_i(a) || has_i(b);
  CounterRng rng(hash64(to_wire(a) + to_wire(b)));
  // All combinations of signs of up to four variables are tested, even if enough points agree
  // before.
  const int least =
      positive ? kWantedPoints : std::max(kWantedPoints, 1 << std::min<size_t>(4, names.size()));
  for (int k = 0; k < kMaxPoints && (k < least || out.agreed < kWantedPoints); ++k) {
    const auto found = agreement_at(a, b, random_point(names, k, positive, rng), complex);
    if (found == Agreement::differ) return {out.agreed, true};
    if (found == Agreement::agree) ++out.agreed;
  }
  return out;
}

// True if a function that is not analytic is applied to something with variables in it.
bool has_branches(const Expression& e) {
  return any_part(e, [](const Expression& part) {
    using Kind = Expression::Kind;
    if (!has_variables(part)) return false;
    if (part.kind == Kind::power) {
      const Expression& exponent = part.args[1];
      if (exponent.kind == Kind::number) return exponent.value.get_den() != 1;
      // A constant to any power is an exponential function.
      return has_variables(part.args[0]);
    }
    if (part.kind != Kind::function) return false;
    for (const char* entire : {"sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh"}) {
      if (part.name == entire) return false;
    }
    return true;
  });
}

// True if e contains only numbers, variables, sums, products and whole powers. The normal form then
// decides.
bool is_rational_function(const Expression& e) {
  using Kind = Expression::Kind;
  return !any_part(e, [](const Expression& part) {
    if (part.kind == Kind::function) return true;
    if (part.kind == Kind::symbol) return is_constant_name(part.name);
    if (part.kind != Kind::power) return false;
    return part.args[1].kind != Kind::number || part.args[1].value.get_den() != 1;
  });
}

bool proves_equal(const Expression& a, const Expression& b, bool positive) {
  try {
    return NormalForm(positive).proves_equal(a, b);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {
    return false;  // a pole, or a power that is not expanded
  }
}

}  // namespace

Proof prove(const Expression& a, const Expression& b, bool positive) {
  if (a == b) return Proof::equal;
  if (!has_variables(a) && !has_variables(b)) return prove_constants(a, b);
  const Sampling sampled = sample(a, b, positive);
  if (sampled.differs) return Proof::different;
  if (proves_equal(a, b, positive)) return Proof::equal;
  if (sampled.agreed < kWantedPoints) return Proof::unproven;
  if (is_rational_function(a) && is_rational_function(b)) return Proof::unproven;
  if (!has_branches(a) && !has_branches(b)) return Proof::equal;
  return !positive && proves_equal(a, b, true) ? Proof::equal : Proof::unproven;
}

}  // namespace longshot::math
