#include "math/read/expression_parser.h"

#include <gtest/gtest.h>

namespace longshot::math {
namespace {

struct Case {
  const char* text;
  const char* wire;  // nullptr: no expression
};

constexpr Case kCases[] = {
    {"12", "12"},
    {"1,234.50", "~2469/2"},
    {".5", "~1/2"},
    {"0.1\\overline{6}", "1/6"},
    {"2x", "(* 2 $x)"},
    {"x+1-y", "(+ $x 1 (* -1 $y))"},
    {"a/b/c", "(* $a (^ $b -1) (^ $c -1))"},
    {"-x^2", "(* -1 (^ $x 2))"},
    {"2^3^2", "(^ 2 9)"},
    {"2^x^2", "(^ 2 (^ $x 2))"},
    {"n even", nullptr},
    {"2^{-1}", "(^ 2 -1)"},
    {"x^{2/3}", "(^ $x 2/3)"},
    {"x^10", "(^ $x 10)"},
    {"\\frac{a}{b}", "(* $a (^ $b -1))"},
    {"2\\frac{3}{4}", "11/4"},
    {"2\\frac{x}{4}", "(* 2 (* $x (^ 4 -1)))"},
    {"\\sqrt{2}", "(^ 2 1/2)"},
    {"\\sqrt[3]{x}", "(root $x 3)"},
    {"(a+2)(a-2)", "(* (+ $a 2) (+ $a -2))"},
    {"\\pi r", "(* $pi $r)"},
    {"x_1+x_{12}", "(+ $x_1 $x_12)"},
    {"f(2)", "$f[2]"},
    {"x(2)", "(* $x 2)"},
    {"|x-1|", "(abs (+ $x -1))"},
    {"|a||b|", "(* (abs $a) (abs $b))"},
    {"5!", "(factorial 5)"},
    {"3!4!", "(* (factorial 3) (factorial 4))"},
    {"50%", "(* 50 1/100)"},
    {"\\sin 2x", "(sin (* 2 $x))"},
    {"\\sin b\\cos a", "(* (sin $b) (cos $a))"},
    {"\\sin^2 x", "(^ (sin $x) 2)"},
    {"\\sin^{-1} x", "(arcsin $x)"},
    {"\\sin(x)y", "(* (sin $x) $y)"},
    {"\\log_2 8", "(log 2 8)"},
    {"\\ln x", "(ln $x)"},
    {"e^{x}", "(^ $e $x)"},
    {"\\binom{n}{k}", "(binomial $n $k)"},
    {"\\lfloor x\\rfloor", "(floor $x)"},
    {"\\overline{AB}", "$overline[AB]"},
    {"\\sum_{k=1}^{n} b a", "$sum_k=1^n[[*__a__b]]"},
    {"", nullptr},
    {"+", nullptr},
    {"2 3", nullptr},
    {"x2", nullptr},
    {"2**3", nullptr},
    {"(", nullptr},
    {"(1", nullptr},
    {"1)", nullptr},
    {"1,2", nullptr},
    {"x=1", nullptr},
    {"x<1", nullptr},
    {"hello", nullptr},
    {"\\frac{1}", nullptr},
    {"\\sqrt", nullptr},
    {"\\unknown", nullptr},
    {"|x", nullptr},
    {"x^", nullptr},
    {"x_", nullptr},
    {"\\sin", nullptr},
    {"7!=", nullptr},
};

TEST(ParseExpression, ReadsTheTreeThatIsMeant) {
  for (const auto& [text, wire] : kCases) {
    const auto e = parse_expression(text);
    ASSERT_EQ(e.has_value(), wire != nullptr) << text << " gave " << (e ? to_wire(*e) : "nothing");
    if (!e) continue;
    EXPECT_EQ(to_wire(*e), wire) << text;
    EXPECT_TRUE(from_wire(to_wire(*e))) << text;
  }
}

TEST(ParseExpression, DepthAndLengthAreBounded) {
  EXPECT_TRUE(parse_expression(std::string(15, '(') + "1" + std::string(15, ')')));
  EXPECT_FALSE(parse_expression(std::string(900, '(') + "1" + std::string(900, ')')));
  EXPECT_FALSE(parse_expression(std::string(900, '-') + "1"));
  EXPECT_FALSE(parse_expression(std::string(1500, '7')));
  EXPECT_FALSE(parse_expression("1" + std::string(3000, '+')));
}

}  // namespace
}  // namespace longshot::math
