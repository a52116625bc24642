#include "curate/filters/balance.h"

#include <gtest/gtest.h>

namespace longshot::curate {
namespace {

BalanceOptions with_shares(const char* shares) {
  BalanceOptions options;
  options.shares = parse_json(shares, "test").value();
  return options;
}

TEST(Balance, CapsGroups) {
  BalanceOptions options;
  options.cap = 10;
  EXPECT_EQ(*target_sizes({{"a", 4}, {"b", 50}}, options), (GroupSizes{{"a", 4}, {"b", 10}}));
  EXPECT_EQ(*target_sizes({{"a", 4}}, {}), (GroupSizes{{"a", 4}}));
}

// Worked by hand: 40 rows of a are 40 %, so the total is 100.
TEST(Balance, ReachesShares) {
  EXPECT_EQ(*target_sizes({{"a", 40}, {"b", 500}}, with_shares(R"({"a": 0.4, "b": 0.6})")),
            (GroupSizes{{"a", 40}, {"b", 60}}));
  EXPECT_EQ(*target_sizes({{"a", 40}, {"b", 500}, {"c", 30}, {"d", 90}},
                          with_shares(R"({"a": 0.4, "b": 0.2})")),
            (GroupSizes{{"a", 40}, {"b", 20}, {"c", 10}, {"d", 30}}));
  EXPECT_EQ(*target_sizes({{"a", 8}, {"b", 9}}, with_shares(R"({"a": 1})")),
            (GroupSizes{{"a", 8}, {"b", 0}}));
}

TEST(Balance, RefusesImpossibleShares) {
  EXPECT_FALSE(target_sizes({{"a", 1}}, with_shares(R"({"z": 0.5})")).ok());
  EXPECT_FALSE(target_sizes({{"a", 1}}, with_shares(R"({"a": 0.7, "b": 0.7})")).ok());
  EXPECT_FALSE(target_sizes({{"a", 1}}, with_shares(R"({"a": "x"})")).ok());
}

TEST(Balance, RanksDependOnTheSeed) {
  EXPECT_EQ(balance_rank(1, 2), balance_rank(1, 2));
  EXPECT_NE(balance_rank(1, 2), balance_rank(2, 2));
}

}  // namespace
}  // namespace longshot::curate
