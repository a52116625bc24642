#include "curate/tests/record.h"

#include <gtest/gtest.h>

namespace longshot::curate {
namespace {

// One problem for each result. Counted by hand: 9 statements, 8 without special judge (including
// the error, which was judged to need none), 2 generators with enough valid cases (kept, and too
// few passing), 1 problem.
Funnel one_of_each() {
  Funnel funnel;
  for (const Reason reason : {Reason::special_judge, Reason::too_few_submissions, Reason::no_code,
                              Reason::generator_fails, Reason::too_few_cases, Reason::too_few_valid,
                              Reason::too_few_passing})
    funnel.add(State::dropped, reason);
  funnel.add(State::error, Reason::none);
  funnel.add(State::kept, Reason::none);
  return funnel;
}

TEST(Funnel, CountsStages) {
  const Funnel funnel = one_of_each();
  EXPECT_EQ(funnel.statements, 9);
  EXPECT_EQ(funnel.without_special_judge, 8);
  EXPECT_EQ(funnel.generators, 2);
  EXPECT_EQ(funnel.problems, 1);
  EXPECT_EQ(funnel.errors, 1);
  EXPECT_EQ(funnel.dropped.size(), 7u);
  EXPECT_EQ(to_json(funnel)["dropped"]["no code"], 1);
}

TEST(Funnel, TheTableHoldsEveryCount) {
  const std::string table = format_table(one_of_each(), Thresholds(), 4);
  for (const char* words :
       {"1,000", "614", "463", "323", "generators with 40 valid", "9 of 10", "88.9 %", "25.0 %",
        "50.0 %", "too few passing submissions", "errors", "not done yet"})
    EXPECT_NE(table.find(words), std::string::npos) << words << "\n" << table;
  EXPECT_EQ(format_table(Funnel(), Thresholds(), 0).find("not done yet"), std::string::npos);
}

TEST(Record, NamesAreReadBack) {
  for (const State state : {State::kept, State::dropped, State::error})
    EXPECT_EQ(parse_state(state_name(state)), state);
  for (int i = 0; i <= static_cast<int>(Reason::too_few_passing); ++i)
    EXPECT_EQ(parse_reason(reason_name(static_cast<Reason>(i))), static_cast<Reason>(i));
  EXPECT_FALSE(parse_state("lost").has_value());
  EXPECT_FALSE(parse_reason("lost").has_value());
}

TEST(Record, JsonHoldsWhatAPersonAsksFor) {
  Record record{.id = "p",
                .content_hash = "h",
                .state = State::dropped,
                .reason = Reason::too_few_passing,
                .message = "m",
                .attempts = 2,
                .best = {}};
  record.best.generator = "code";
  record.best.cases = 2;
  record.best.agreements = {7, 3};
  record.best.valid_cases = {0};
  record.best.passing = 1;
  record.best.submissions = {{"cpp", true, ""}, {"python", false, "case 0: TO"}};
  EXPECT_EQ(to_json(record),
            OrderedJson::parse(R"({"id": "p", "content_hash": "h", "state": "dropped",
    "reason": "too few passing submissions", "message": "m", "attempts": 2, "generator": "code", "cases": 2,
    "agreements": [7, 3], "valid_cases": [0], "passing_submissions": 1, "submissions": [
    {"language": "cpp", "passed": true}, {"language": "python", "passed": false, "message": "case 0: TO"}]})"));
}

}  // namespace
}  // namespace longshot::curate
