#include "math/symbolic/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longshot::math {
namespace {

using State = Approximation::State;

Expression wire(const char* text) {
  auto e = from_wire(text);
  EXPECT_TRUE(e) << text;
  return e.value_or(number(0));
}

struct Case {
  const char* text;
  double value;
};
constexpr Case kDefined[] = {
    {"(+ 1/2 1/3)", 5.0 / 6},
    {"(* 2 $x)", 3},
    {"(^ $x 2)", 2.25},
    {"(^ -8 1/3)", -2},
    {"(^ -8 2/3)", 4},
    {"(root -27 3)", -3},
    {"(^ 2 -2)", 0.25},
    {"(^ $e $x)", 4.4816890703380645},
    {"(sin (* $pi 1/6))", 0.5},
    {"(tan 1)", 1.5574077246549023},
    {"(sec 0)", 1},
    {"(ln $e)", 1},
    {"(log 2 8)", 3},
    {"(abs -4)", 4},
    {"(floor -3/2)", -2},
    {"(ceil -3/2)", -1},
    {"(factorial 5)", 120},
    {"(arcsin 1/2)", 0.5235987755982989},
    {"(arccot 1)", 0.7853981633974483},
};

TEST(Evaluate, ValuesLieWithinTheirErrorBounds) {
  for (const auto& [text, value] : kDefined) {
    const auto got = evaluate(wire(text), {{"x", 1.5}});
    ASSERT_EQ(got.state, State::defined) << text;
    EXPECT_NEAR(got.value, value, got.error + 4e-16 * std::abs(value)) << text;
    EXPECT_LT(got.error, 1e-11) << text;
  }
}

TEST(Evaluate, UndefinedAndUnclearAreTold) {
  for (const char* text : {"(^ -1 1/2)", "(ln -2)", "(arcsin 2)", "(+ 1 (ln -2))", "(^ -1 $x)"})
    EXPECT_EQ(evaluate(wire(text), {{"x", 1.5}}).state, State::undefined) << text;
  for (const char* text : {"$y", "$i", "(^ 0 -1)", "(ln 0)", "(tan (* $pi 1/2))", "(^ 10 400)",
                           "(ln (+ (^ 2 1/2) (* -1 (^ 2 1/2))))", "(+ 1e)"}) {
    const auto e = from_wire(text);
    if (e) {
      EXPECT_EQ(evaluate(*e, {{"x", 1.5}}).state, State::unclear) << text;
    }
  }
}

TEST(Evaluate, SurelyDifferentIsNeverSaidOfEquals) {
  const std::pair<const char*, const char*> equal[] = {
      {"(^ (+ $x 1) 2)", "(+ (^ $x 2) (* 2 $x) 1)"},
      {"(+ (^ (sin $x) 2) (^ (cos $x) 2))", "1"},
      {"(^ (^ $x 2) 1/2)", "(abs $x)"},
      {"(+ (* 1000000 $x) 1 (* -1000000 $x))", "1"},
      {"(^ (+ 3 (* 2 (^ 2 1/2))) 1/2)", "(+ 1 (^ 2 1/2))"},
      {"(^ (* $x $y) 3)", "(* (^ $x 3) (^ $y 3))"},
      {"(ln (^ $x 2))", "(* 2 (ln (abs $x)))"},
  };
  for (const auto& [a, b] : equal) EXPECT_FALSE(surely_different(wire(a), wire(b), false)) << a;
  const std::pair<const char*, const char*> different[] = {{"(^ (+ $x 1) 2)", "(+ (^ $x 2) 1)"},
                                                           {"(^ (^ $x 2) 1/2)", "$x"},
                                                           {"(ln (^ $x 2))", "(* 2 (ln $x))"},
                                                           {"$x", "$y"},
                                                           {"(* 2 (^ 3 1/2))", "(* 3 (^ 2 1/2))"}};
  for (const auto& [a, b] : different) EXPECT_TRUE(surely_different(wire(a), wire(b), false)) << a;
  EXPECT_FALSE(surely_different(wire("(^ (^ $x 2) 1/2)"), wire("$x"), true));
}

}  // namespace
}  // namespace longshot::math
