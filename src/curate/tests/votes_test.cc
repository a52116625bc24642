#include "curate/tests/votes.h"

#include <gtest/gtest.h>

namespace longshot::curate {
namespace {

// "a" is an output, "-" a submission that did not run to its end.
std::vector<Answer> answers(const std::string& row) {
  std::vector<Answer> list;
  for (const char c : row) list.push_back({c != '-', c == '-' ? "" : std::string(1, c)});
  return list;
}

Thresholds thresholds(int submissions, int min_agree, int min_valid, int min_passing) {
  Thresholds t;
  t.cases = 50;
  t.submissions = submissions;
  t.min_agree = min_agree;
  t.min_valid = min_valid;
  t.min_passing = min_passing;
  return t;
}

TEST(Agreement, CountsTheMostFrequentOutput) {
  struct Case {
    const char* row;
    int votes;
    size_t first;
  };
  for (const Case& c :
       {Case{"aaaaaaaaaa", 10, 0}, Case{"aaaaaaabbb", 7, 0}, Case{"bbbaaaaaaa", 7, 3},
        Case{"aaaaaabbbb", 6, 0}, Case{"-a-a-aaaaa", 7, 1}, Case{"----------", 0, 0},
        Case{"aabbcc", 2, 0}, Case{"abb", 2, 1}, Case{"--------ab", 1, 8}}) {
    const Agreement found = find_agreement(answers(c.row));
    EXPECT_EQ(found.votes, c.votes) << c.row;
    if (c.votes == 0) continue;
    EXPECT_EQ(found.first, c.first) << c.row;
    for (size_t i = 0; i < found.same.size(); ++i)
      EXPECT_EQ(found.same[i], c.row[i] == c.row[c.first]) << c.row << " " << i;
  }
}

TEST(Agreement, WhiteSpaceAtTheEndsOfLinesDoesNotCount) {
  const std::vector<Answer> list = {{true, "1 2\n3\n"}, {true, "1 2 \r\n3"}, {true, "1 2\n3\n\n\n"},
                                    {true, " 1 2\n3"},  {true, "1  2\n3"},   {true, "1 2 3"}};
  const Agreement found = find_agreement(list);
  EXPECT_EQ(found.votes, 4);
  EXPECT_EQ(found.same, (std::vector<bool>{true, true, true, true, false, false}));
}

TEST(Agreement, NothingIsNoOutput) {
  EXPECT_EQ(find_agreement({{true, ""}, {true, " \n"}, {true, ""}}).votes, 0);
  const Agreement found = find_agreement({{true, ""}, {true, "\n"}, {true, "x"}});
  EXPECT_EQ(found.votes, 1);
  EXPECT_EQ(found.first, 2u);
  EXPECT_EQ(find_agreement({}).votes, 0);
}

// Worked by hand, 5 submissions, 3 must agree:
//   case   answers   votes  valid   submissions that still pass
//   0      aaaaa     5      yes     01234
//   1      aabbc     2      no      01234   (not valid: the answers do not matter)
//   2      aaaab     4      yes     0123
//   3      a-aab     3      yes     0 23
//   4      -----     0      no      0 23
TEST(Votes, AHandWorkedTable) {
  Votes votes(thresholds(5, 3, 3, 3));
  EXPECT_EQ(votes.passing(), 0);
  EXPECT_TRUE(votes.add(find_agreement(answers("aaaaa"))));
  EXPECT_EQ(votes.passing(), 5);
  EXPECT_FALSE(votes.add(find_agreement(answers("aabbc"))));
  EXPECT_EQ(votes.passing(), 5);
  EXPECT_TRUE(votes.add(find_agreement(answers("aaaab"))));
  EXPECT_FALSE(votes.enough_valid());
  EXPECT_TRUE(votes.can_be_enough(1));
  EXPECT_FALSE(votes.can_be_enough(0));
  EXPECT_TRUE(votes.add(find_agreement(answers("a-aab"))));
  EXPECT_FALSE(votes.add(find_agreement(answers("-----"))));
  EXPECT_EQ(votes.agreements(), (std::vector<int>{5, 2, 4, 3, 0}));
  EXPECT_EQ(votes.valid(), 3);
  EXPECT_TRUE(votes.enough_valid());
  EXPECT_EQ(votes.passed(), (std::vector<bool>{true, false, true, true, false}));
  EXPECT_EQ(votes.passing(), 3);
  EXPECT_TRUE(votes.enough_passing());
}

// The report's numbers at their edges: 10 submissions, w of them wrong in every case.
TEST(Votes, TheReportsEdges) {
  const auto decide = [](int wrong, int cases) {
    Votes votes((Thresholds()));
    for (int i = 0; i < cases; ++i)
      votes.add(find_agreement(answers(std::string(10 - wrong, 'a') + std::string(wrong, '-'))));
    return std::make_pair(votes.enough_valid(), votes.enough_passing());
  };
  EXPECT_EQ(decide(0, 40), std::make_pair(true, true));
  EXPECT_EQ(decide(0, 39), std::make_pair(false, true));
  EXPECT_EQ(decide(1, 50), std::make_pair(true, true));
  EXPECT_EQ(decide(2, 50), std::make_pair(true, false));
  EXPECT_EQ(decide(3, 50), std::make_pair(true, false));
  EXPECT_EQ(decide(4, 50), std::make_pair(false, false));
}

TEST(Thresholds, AreChecked) {
  EXPECT_TRUE(check_thresholds(Thresholds()).ok());
  EXPECT_TRUE(check_thresholds(thresholds(1, 1, 1, 1)).ok());
  const auto why = [](const Thresholds& t) { return check_thresholds(t).message(); };
  EXPECT_NE(why(thresholds(10, 5, 40, 9)).find("more than half"), std::string::npos);
  EXPECT_NE(why(thresholds(10, 11, 40, 9)).find("--min-agree 11"), std::string::npos);
  EXPECT_NE(why(thresholds(10, 7, 51, 9)).find("--min-valid 51"), std::string::npos);
  EXPECT_NE(why(thresholds(10, 7, 40, 0)).find("--min-passing 0"), std::string::npos);
  EXPECT_NE(why(thresholds(0, 0, 40, 0)).find("--submissions"), std::string::npos);
}

}  // namespace
}  // namespace longshot::curate
