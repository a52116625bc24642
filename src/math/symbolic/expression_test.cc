#include "math/symbolic/expression.h"

#include <gtest/gtest.h>

namespace longshot::math {
namespace {

TEST(Expression, TravelsOverTheWireUnchanged) {
  const Expression e =
      sum({power(symbol("x_1"), number(mpq_class(-3, 4))),
           function("root", {symbol("pi"), number(3)}), number(mpq_class(1, 2), true),
           product({number(-1), function("f", {symbol("f[x]")})}), negative(symbol("y"))});
  EXPECT_EQ(to_wire(e).find('\n'), std::string::npos);
  EXPECT_FALSE(from_wire(to_wire(e)));  // f is not a known function
  const Expression known = sum({power(symbol("x_1"), number(mpq_class(-3, 4))),
                                function("root", {symbol("pi"), number(3)}),
                                number(mpq_class(1, 2), true), negative(symbol("f[x]"))});
  const auto back = from_wire(to_wire(known));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, known);
  EXPECT_TRUE(has_decimals(*back));
}

TEST(Expression, WireRefusesWhatItDoesNotWrite) {
  for (const char* text :
       {"", "(", ")", "(+)", "(+ 1", "1 2", "(^ 1)", "(nonsense 1)", "1/0", "$", "(+ 1 )", "x"})
    EXPECT_FALSE(from_wire(text)) << text;
  std::string deep;
  for (int i = 0; i < 500; ++i) deep += "(sin ";
  EXPECT_FALSE(from_wire(deep + "1" + std::string(500, ')')));
}

TEST(Expression, ConstantsAreNoVariables) {
  const Expression e = sum({symbol("e"), symbol("pi"), symbol("b"), symbol("a"), symbol("b")});
  EXPECT_EQ(variables_of(e), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(has_variables(sum({symbol("e"), symbol("i")})));
  EXPECT_EQ(count_parts(e), 6u);
}

}  // namespace
}  // namespace longshot::math
