#include "math/symbolic/prove.h"

#include <gtest/gtest.h>

// CLN keeps some bytes until the process ends.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libcln";
}

namespace longshot::math {
namespace {

struct Case {
  const char* a;
  const char* b;
  Proof real, positive;
};

constexpr Proof kEqual = Proof::equal, kDifferent = Proof::different, kUnproven = Proof::unproven;

constexpr Case kCases[] = {
    // polynomials and fractions
    {"(+ (^ $a 2) -4)", "(* (+ $a 2) (+ $a -2))", kEqual, kEqual},
    {"(^ (+ $x $y) 5)", "(^ (+ $y $x) 5)", kEqual, kEqual},
    {"(* (^ $x 2) (^ $x -1))", "$x", kEqual, kEqual},
    {"(+ (^ (+ $x -1) -1) (* -1 (^ (+ $x 1) -1)))", "(* 2 (^ (+ (^ $x 2) -1) -1))", kEqual, kEqual},
    {"(+ (^ $a 2) 4)", "(* (+ $a 2) (+ $a -2))", kDifferent, kDifferent},
    {"(+ $x (^ 10 -80))", "$x", kDifferent, kDifferent},
    {"(+ $x (^ 10 -400))", "$x", kDifferent, kDifferent},
    {"(+ $x (^ 10 -4000))", "$x", kUnproven, kUnproven},
    // constants
    {"(^ (+ 3 (* 2 (^ 2 1/2))) 1/2)", "(+ 1 (^ 2 1/2))", kEqual, kEqual},
    {"(^ (+ (^ 10 60) 1) 1/2)", "(^ 10 30)", kDifferent, kDifferent},
    {"(+ (^ 2 1/2) (^ 10 -500))", "(^ 2 1/2)", kDifferent, kDifferent},
    {"(^ 2 (^ 2 100000))", "(^ 3 (^ 2 100000))", kUnproven, kUnproven},
    {"(* 2 (^ -1 1/2))", "(* 2 $i)", kEqual, kEqual},
    {"(^ -4 1/2)", "(^ -9 1/2)", kDifferent, kDifferent},
    {"(^ $e (* $i $pi))", "-1", kEqual, kEqual},
    {"(^ -8 1/3)", "-2", kEqual, kEqual},
    {"(sin (* $pi 1/3))", "(* 1/2 (^ 3 1/2))", kEqual, kEqual},
    {"(ln 8)", "(* 3 (ln 2))", kEqual, kEqual},
    {"(* (^ 2 1/2) (^ 3 1/2))", "(^ 6 1/2)", kEqual, kEqual},
    {"(factorial 20)", "2432902008176640000", kEqual, kEqual},
    {"(binomial 10 3)", "120", kEqual, kEqual},
    {"(* (factorial (+ $n 1)) (^ (factorial $n) -1))", "(+ $n 1)", kEqual, kEqual},
    {"(* (factorial (+ $n -1)) $n)", "(factorial $n)", kEqual, kEqual},
    {"(binomial $n 2)", "(* 1/2 $n (+ $n -1))", kEqual, kEqual},
    {"(binomial $n 2)", "(* 1/2 $n (+ $n 1))", kUnproven, kUnproven},
    // trigonometry and exponentials
    {"(+ (^ (tan $y) 2) 1)", "(^ (sec $y) 2)", kEqual, kEqual},
    {"(+ (sin (+ $a $b)) (* -1 (sin (+ $a (* -1 $b)))))", "(* 2 (sin $b) (cos $a))", kEqual,
     kEqual},
    {"(sin (* 2 $x))", "(* 2 (sin $x))", kDifferent, kDifferent},
    {"(^ 4 $n)", "(^ 2 (* 2 $n))", kEqual, kEqual},
    {"(^ 2 (+ $n 1))", "(* 2 (^ 2 $n))", kEqual, kEqual},
    {"(^ $e (* 2 $x))", "(^ (^ $e $x) 2)", kEqual, kEqual},
    {"(^ -1 (+ $n 1))", "(* -1 (^ -1 $n))", kEqual, kEqual},
    // branches: only what holds for all real numbers
    {"(^ (^ $x 2) 1/2)", "$x", kDifferent, kEqual},
    {"(^ (^ $x 2) 1/2)", "(abs $x)", kEqual, kEqual},
    {"(^ (+ (^ $x 2) (* 2 $x) 1) 1/2)", "(abs (+ $x 1))", kEqual, kEqual},
    {"(^ (* $x $y) 1/2)", "(* (^ $x 1/2) (^ $y 1/2))", kDifferent, kEqual},
    {"(ln (* $x $y))", "(+ (ln $x) (ln $y))", kDifferent, kEqual},
    {"(ln (^ $x 2))", "(* 2 (ln $x))", kDifferent, kEqual},
    {"(ln (^ $x 2))", "(* 2 (ln (abs $x)))", kEqual, kEqual},
    {"(ln (abs $x))", "(ln $x)", kDifferent, kEqual},
    {"(^ $x -1/2)", "(* (^ $x 1/2) (^ $x -1))", kEqual, kEqual},
    {"(* 3 (^ (+ (* 4 $x) 4) 1/2))", "(* 6 (^ (+ $x 1) 1/2))", kEqual, kEqual},
    {"(* 1/3 (^ (^ (root $x 3) 2) -1))", "(^ (* 3 (^ $x 2/3)) -1)", kEqual, kEqual},
    {"(^ (+ (^ $x 1/2) (^ $y 1/2)) -1)",
     "(* (+ (^ $x 1/2) (* -1 (^ $y 1/2))) (^ (+ $x (* -1 $y)) -1))", kEqual, kEqual},
    {"(arcsin (sin $x))", "$x", kDifferent, kDifferent},
    {"(floor $x)", "$x", kDifferent, kDifferent},
    // both nowhere real: nothing is known
    {"(^ (+ -1 (* -1 (^ $x 2))) 1/2)", "(ln (+ -1 (* -1 (^ $x 4))))", kUnproven, kUnproven},
};

const char* name(Proof proof) {
  return proof == kEqual ? "equal" : proof == kDifferent ? "different" : "unproven";
}

TEST(Prove, DecidesByTheRulesOfRealAndOfPositiveVariables) {
  for (const auto& c : kCases) {
    const auto a = from_wire(c.a), b = from_wire(c.b);
    ASSERT_TRUE(a && b) << c.a << " | " << c.b;
    EXPECT_STREQ(name(prove(*a, *b, false)), name(c.real)) << c.a << " | " << c.b;
    EXPECT_STREQ(name(prove(*b, *a, false)), name(c.real)) << c.b << " | " << c.a;
    EXPECT_STREQ(name(prove(*a, *b, true)), name(c.positive)) << c.a << " | " << c.b << " positive";
  }
}

}  // namespace
}  // namespace longshot::math
