#include "math/read/answer.h"

#include <gtest/gtest.h>

#include "math/read/latex.h"

namespace longshot::math {
namespace {

// The form of an answer on one line.
std::string form(const Answer& a) {
  std::string out;
  switch (a.kind) {
    case Answer::Kind::text:
      return "text";
    case Answer::Kind::value:
      return (a.expression ? to_wire(*a.expression) : "?") + (a.unit.empty() ? "" : " " + a.unit);
    case Answer::Kind::list:
      out = a.open == 0 ? "list" : std::string("list") + a.open + a.close;
      break;
    case Answer::Kind::relation:
      out = "relation";
      break;
    case Answer::Kind::set:
      out = "set";
      break;
    case Answer::Kind::matrix:
      out = "matrix" + std::to_string(a.columns);
      break;
  }
  for (const auto& sign : a.signs) out += " " + sign;
  for (const auto& part : a.parts) out += " <" + form(part) + ">";
  return out;
}

struct Case {
  const char* text;
  const char* form;
};

constexpr Case kCases[] = {
    {"5", "5"},
    {"5 \\text{ cm}^2", "5 cm^2"},
    {"2\\sqrt{3}\\text{ cm}", "(* 2 (^ 3 1/2)) cm"},
    {"10\\pi\\text{ square units}", "(* 10 $pi) unit^2"},
    {"n \\text{ even}", "text"},
    {"1, 2", "list <1> <2>"},
    {"1 and 2", "list <1> <2>"},
    {"(1,2]", "list(] <1> <2>"},
    {"\\{1,2\\}", "list{} <1> <2>"},
    {"{1,2}", "list <1> <2>"},
    {"(1,2),(3,4)", "list <list() <1> <2>> <list() <3> <4>>"},
    {"p=1,q=2;p=3,q=4",
     "list <list <relation = <$p> <1>> <relation = <$q> <2>>> "
     "<list <relation = <$p> <3>> <relation = <$q> <4>>>"},
    {"x = 1 = 2", "relation = = <$x> <1> <2>"},
    {"1 < x \\le 2", "relation < \\le <1> <$x> <2>"},
    {"x \\geqslant 2", "relation \\ge <$x> <2>"},
    {"x != 2", "relation \\ne <$x> <2>"},
    {"x \\in [1,2)", "list[) <1> <2>"},
    {"[0,1] \\cup \\{2\\}", "set \\cup <list[] <0> <1>> <list{} <2>>"},
    {"1 \\pm \\sqrt{2}", "list <(+ 1 (^ 2 1/2))> <(+ 1 (* -1 (^ 2 1/2)))>"},
    {"\\{\\pm 1, 0\\}", "list{} <1> <-1> <0>"},
    {"3:4", "list:: <3> <4>"},
    {"\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "matrix2 <1> <2> <3> <4>"},
    {"\\left[\\begin{array}{c}1\\\\2\\end{array}\\right]", "matrix1 <1> <2>"},
    {"\\text{odd}", "text"},
    {"", "text"},
    {"(", "text"},
};

TEST(ReadAnswer, TellsTheForm) {
  for (const auto& [text, expected] : kCases)
    EXPECT_EQ(form(read_answer(plain_math(text), true)), expected) << text;
}

TEST(ReadAnswer, ACommaIsReadBothWays) {
  EXPECT_EQ(form(read_answer("1,234", true)), "1234");
  EXPECT_EQ(form(read_answer("1,234", false)), "list <1> <234>");
  EXPECT_EQ(form(read_answer("(1,234)", false)), "list() <1> <234>");
}

TEST(IsName, HoldsWhatOnlyNamesAValue) {
  for (const char* name : {"x", "f(2)", "S_1:S", "\\frac{NO}{BO}", "(p,q)", "|AB|", "x_{12}", "xy"})
    EXPECT_TRUE(is_name(name)) << name;
  for (const char* other : {"2x", "x+y", "x^2", "7", "\\frac{1}{2}", "\\sin x", "a-b", "-x", ""})
    EXPECT_FALSE(is_name(other)) << other;
}

TEST(ReadAnswer, WorkIsBounded) {
  std::string deep = "1";
  for (int i = 0; i < 300; ++i) deep = "(" + deep + ",2)";
  EXPECT_NE(form(read_answer(deep, true)), "");
  std::string many = "1";
  for (int i = 0; i < 500; ++i) many += ",1";
  EXPECT_EQ(read_answer(many, true).kind, Answer::Kind::text);
  EXPECT_EQ(read_answer(std::string(5000, 'x'), true).kind, Answer::Kind::text);
}

}  // namespace
}  // namespace longshot::math
