#include "sandbox/compare.h"

#include <gtest/gtest.h>

namespace longshot::sandbox {
namespace {

bool same(const char* a, const char* b, Comparison comparison, double tolerance = 0) {
  return same_output(a, b, comparison, {tolerance, true});
}

TEST(Compare, LinesForgiveWhatNobodySees) {
  EXPECT_TRUE(same("1 2 \n3\n\n", "1 2\n3", Comparison::lines));
  EXPECT_TRUE(same("1\r\n2\r\n", "1\n2\n", Comparison::lines));
  EXPECT_FALSE(same("1  2", "1 2", Comparison::lines));
  EXPECT_TRUE(same("\n1", "1", Comparison::lines));
  EXPECT_TRUE(same(" 1", "1", Comparison::lines));
  EXPECT_FALSE(same("1.0", "1", Comparison::lines));
  EXPECT_FALSE(same("1\n\n2", "1\n2", Comparison::lines));
  EXPECT_FALSE(same("", "0", Comparison::lines));
  EXPECT_TRUE(same("", "\n", Comparison::lines));
}

TEST(Compare, TokensForgiveAllWhiteSpaceAndSmallDifferences) {
  EXPECT_TRUE(same(" 1\n2\t3 ", "1 2 3", Comparison::tokens));
  EXPECT_FALSE(same("12 3", "1 23", Comparison::tokens));
  EXPECT_FALSE(same("1 2 3 4", "1 2 3", Comparison::tokens));
  EXPECT_FALSE(same("1.0", "1", Comparison::tokens));
  EXPECT_TRUE(same("1.0", "1", Comparison::tokens, 1e-9));
  EXPECT_TRUE(same("1000001", "1000000", Comparison::tokens, 1e-5));  // relative
  EXPECT_TRUE(same("0.000001", "0", Comparison::tokens, 1e-5));       // absolute
  EXPECT_FALSE(same("1.1", "1", Comparison::tokens, 1e-5));
  EXPECT_FALSE(same("nan", "1", Comparison::tokens, 1e-5));
  EXPECT_FALSE(same("inf", "1e308", Comparison::tokens, 1));
  EXPECT_FALSE(same("1x", "1", Comparison::tokens, 0.5));
}

TEST(Compare, ExactForgivesNothing) {
  EXPECT_TRUE(same("a\n", "a\n", Comparison::exact));
  EXPECT_FALSE(same("a", "a\n", Comparison::exact));
}

TEST(Compare, ValuesAreEqualByKindAndDepth) {
  const auto value = [](const char* text) { return Json::parse(text); };
  EXPECT_TRUE(same_value(value("[1, [2.0, \"x\"], {\"a\": null}]"),
                         value("[1.0, [2, \"x\"], {\"a\": null}]"), {}));
  EXPECT_FALSE(same_value(value("[1, 2]"), value("[2, 1]"), {}));
  EXPECT_FALSE(same_value(value("[1, 2]"), value("[1, 2, 3]"), {}));
  EXPECT_FALSE(same_value(value("{\"a\": 1}"), value("{\"b\": 1}"), {}));
  EXPECT_TRUE(same_value(value("true"), value("1"), {}));
  EXPECT_FALSE(same_value(value("true"), value("\"true\""), {}));
  EXPECT_FALSE(same_value(value("\"1\""), value("1"), {}));
  EXPECT_FALSE(same_value(value("0.30000000000000004"), value("0.3"), {}));
  EXPECT_TRUE(same_value(value("0.30000000000000004"), value("0.3"), {1e-9, true}));
  EXPECT_FALSE(same_value(value("9007199254740993"), value("9007199254740992"), {}));
}

TEST(Compare, FractionsMayDifferWhereIntegersMayNot) {
  const auto same = [](const char* a, const char* b, Comparison comparison = Comparison::lines) {
    return same_output(a, b, comparison, {1e-6, false});
  };
  EXPECT_TRUE(same("0.333333", "0.333333333333"));
  EXPECT_TRUE(same("x = 2.5000001 \n", "x  =  2.5"));
  EXPECT_TRUE(same("1e3", "1000.0"));
  EXPECT_TRUE(same("2.0", "2"));
  EXPECT_TRUE(same("007 +5 -0", "7 5 0"));
  EXPECT_FALSE(same("0.3343", "0.3333"));
  EXPECT_FALSE(same("1 2", "1\n2"));
  EXPECT_FALSE(same("1000001", "1000000"));
  EXPECT_FALSE(same("1234567.5", "1234567"));
  EXPECT_FALSE(same("100000000000000000001", "100000000000000000002", Comparison::tokens));
  EXPECT_FALSE(same("-1", "1"));
  const auto same_json = [](const char* a, const char* b) {
    return same_value(*parse_json(a, "a"), *parse_json(b, "b"), {1e-6, false});
  };
  EXPECT_TRUE(same_json("[0.30000000000000004]", "[0.3]"));
  EXPECT_TRUE(same_json("1208925819614629174706176", "1208925819614629174706176"));
  EXPECT_FALSE(same_json("1208925819614629174706177", "1208925819614629174706176"));
  EXPECT_FALSE(same_json("18446744073709551616", "18446744073709551615"));
  EXPECT_TRUE(same_json("9007199254740992.0", "9007199254740992"));
  EXPECT_FALSE(same_json("9007199254740992.0", "9007199254740993"));
  EXPECT_FALSE(same_json("1208925819614629174706176.0", "1208925819614629174706177"));
  EXPECT_FALSE(same_json("1000001", "1000000"));
}

TEST(Compare, NamesOfComparisons) {
  EXPECT_EQ(parse_comparison("tokens"), Comparison::tokens);
  EXPECT_FALSE(parse_comparison("fuzzy"));
}

}  // namespace
}  // namespace longshot::sandbox
