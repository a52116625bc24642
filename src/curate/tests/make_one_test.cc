#include "curate/tests/make_one.h"

#include <gtest/gtest.h>

#include "curate/tests/testing.h"
#include "reward/code/code_suite.h"

namespace longshot::curate {
namespace {

// 4 cases, 3 submissions, 2 must agree, 3 cases must be valid, 2 submissions pass.
MakeOptions small() {
  MakeOptions options;
  options.thresholds = {
      .cases = 4, .submissions = 3, .min_agree = 2, .min_valid = 3, .min_passing = 2};
  return options;
}

FakeAuthor good_author() {
  return FakeAuthor(
      [](int attempt) { return "```python\nprogram " + std::to_string(attempt) + "\n```"; });
}

Record make(const Problem& problem, Author& author, Programs& programs,
            const MakeOptions& options = small()) {
  auto record = make_one(problem, options, &author, programs);
  EXPECT_TRUE(record.ok()) << record.status().message();
  return record.ok() ? *record : Record();
}

TEST(MakeOne, AgreedOutputsBecomeTests) {
  FakePrograms programs;
  programs.on_run = [](const std::string& code, const std::string& input) {
    return ProgramRun{true, code == "1" ? "odd one out" : "<" + input + ">", ""};
  };
  FakeAuthor author = good_author();
  const Record record = make(fake_problem("p", 5), author, programs);
  EXPECT_EQ(record.state, State::kept) << record.message;
  EXPECT_EQ(author.asked, 1);
  EXPECT_EQ(record.best.generator, "program 0\n");
  EXPECT_EQ(record.best.cases, 4);
  EXPECT_EQ(record.best.agreements, (std::vector<int>{2, 2, 2, 2}));
  EXPECT_EQ(record.best.inputs, (std::vector<std::string>{"1", "2", "3", "4"}));
  EXPECT_EQ(record.best.outputs, (std::vector<std::string>{"<1>", "<2>", "<3>", "<4>"}));
  EXPECT_EQ(record.best.passing, 2);
  EXPECT_EQ(record.best.submissions.size(), 3u);
  EXPECT_EQ(record.best.submissions[1].message, "case 0: another output than the others'");
}

TEST(MakeOne, SpecialJudgesAreDroppedBeforeAnythingIsAsked) {
  FakePrograms programs;
  FakeAuthor author = good_author();
  Problem problem = fake_problem("p", 5);
  problem.special_judge = true;
  EXPECT_EQ(make(problem, author, programs).reason, Reason::special_judge);
  problem.special_judge.reset();
  problem.statement = "Print any of them.";
  EXPECT_EQ(make(problem, author, programs).message, "the statement says 'Print any of them'");
  EXPECT_EQ(author.asked, 0);
  problem.special_judge = false;  // the row overrides the statement's words
  EXPECT_EQ(make(problem, author, programs).state, State::kept);
}

TEST(MakeOne, SubmissionsInOtherLanguagesAreLeftOut) {
  FakePrograms programs;
  FakeAuthor author = good_author();
  Problem problem = fake_problem("p", 4);
  problem.submissions[1].language = "cobol";
  EXPECT_EQ(make(problem, author, programs).state, State::kept);
  problem.submissions[2].language = "cobol";
  const Record record = make(problem, author, programs);
  EXPECT_EQ(record.reason, Reason::too_few_submissions);
  EXPECT_EQ(record.message, "2 of 4 in languages that the sandbox has; 3 are needed");
}

TEST(MakeOne, DuplicatesAndEmptyInputsAreNoCases) {
  FakePrograms programs;
  FakeAuthor author = good_author();
  MakeOptions options = small();
  options.attempts = 1;
  programs.on_generate = [](const std::string&, int number) {
    return ProgramRun{true, number == 1 ? " \n" : number == 3 ? "2" : std::to_string(number), ""};
  };
  const Record record = make(fake_problem("p", 3), author, programs, options);
  EXPECT_EQ(record.reason, Reason::too_few_cases);
  EXPECT_EQ(record.best.cases, 2);
  EXPECT_EQ(record.message, "4 of 4 runs ended well, 2 different inputs; 3 are needed");
}

TEST(MakeOne, AGeneratorThatAlwaysCrashesIsAnotherReason) {
  FakePrograms programs;
  FakeAuthor author = good_author();
  programs.on_generate = [](const std::string&, int) {
    return ProgramRun{false, "", "RE exit code 1"};
  };
  const Record record = make(fake_problem("p", 3), author, programs);
  EXPECT_EQ(record.reason, Reason::generator_fails);
  EXPECT_NE(record.message.find("case 1: RE exit code 1"), std::string::npos) << record.message;
  EXPECT_EQ(author.asked, 3);
}

TEST(MakeOne, AttemptsGoOnUntilAGeneratorCounts) {
  FakePrograms programs;
  FakeAuthor author([](int attempt) {
    return attempt == 0 ? std::string("no code") : "```\n" + std::to_string(attempt) + "\n```";
  });
  programs.on_generate = [](const std::string& code, int number) {
    return ProgramRun{true, code == "1\n" ? "same" : std::to_string(number), ""};
  };
  const Record record = make(fake_problem("p", 3), author, programs);
  EXPECT_EQ(record.state, State::kept);
  EXPECT_EQ(record.attempts, 3);
  EXPECT_EQ(record.best.generator, "2\n");
}

TEST(MakeOne, TheAttemptThatCameFurthestIsReported) {
  FakePrograms programs;
  FakeAuthor author([](int attempt) {
    return attempt == 1 ? "```\ncode\n```" : "nothing " + std::to_string(attempt);
  });
  programs.on_generate = [](const std::string&, int) { return ProgramRun{true, "same", ""}; };
  const Record record = make(fake_problem("p", 3), author, programs);
  EXPECT_EQ(record.attempts, 3);
  EXPECT_EQ(record.reason, Reason::too_few_cases);
  EXPECT_EQ(record.best.generator, "code\n");
}

// Otherwise the cases would be chosen by their result.
TEST(MakeOne, NoFurtherGeneratorIsAskedForOnceOneCounts) {
  FakePrograms programs;
  FakeAuthor author = good_author();
  programs.on_run = [](const std::string& code, const std::string& input) {
    return code == input ? ProgramRun{false, "", "TO"}
                         : ProgramRun{true, "same", ""};  // submissions 1 and 2 fail once
  };
  const Record record = make(fake_problem("p", 3), author, programs);
  EXPECT_EQ(record.reason, Reason::too_few_passing);
  EXPECT_EQ(author.asked, 1);
  EXPECT_EQ(record.best.agreements, (std::vector<int>{2, 2, 3, 3}));
  EXPECT_EQ(record.best.passing, 1);
  EXPECT_EQ(record.best.submissions[1].message, "case 0: TO");
}

TEST(MakeOne, JudgingEndsOnceTooFewCasesAreLeft) {
  FakePrograms programs;
  FakeAuthor author = good_author();
  MakeOptions options = small();
  options.attempts = 1;
  int runs = 0;
  programs.on_run = [&](const std::string& code, const std::string&) {
    return ++runs, ProgramRun{true, code, ""};
  };
  const Record record = make(fake_problem("p", 3), author, programs, options);
  EXPECT_EQ(record.reason, Reason::too_few_valid);
  EXPECT_EQ(record.best.agreements, (std::vector<int>{1, 1}));
  EXPECT_EQ(record.message, "0 of 2 cases judged are valid; 3 are needed");
  EXPECT_EQ(runs, 2 * 3);
}

TEST(MakeOne, AFaultIsAnErrorAndNotADisagreement) {
  FakePrograms programs;
  FakeAuthor author = good_author();
  programs.on_run = [](const std::string& code, const std::string& input) -> Result<ProgramRun> {
    if (code == "2" && input == "4") return internal_error("sandbox fault: lost");
    return ProgramRun{true, input, ""};
  };
  Record record = make(fake_problem("p", 3), author, programs);
  EXPECT_EQ(record.state, State::error);
  EXPECT_EQ(record.message, "sandbox fault: lost");
  FakeAuthor busy([](int) -> Result<std::string> { return unavailable("full"); });
  record = make(fake_problem("p", 3), busy, programs);
  EXPECT_EQ(record.state, State::error);
  EXPECT_EQ(record.message, "full");
}

TEST(MakeOne, WhatConcernsAllProblemsEndsTheRun) {
  FakePrograms programs;
  FakeAuthor refused([](int) -> Result<std::string> { return invalid_argument("wrong key"); });
  EXPECT_EQ(make_one(fake_problem("p", 3), small(), &refused, programs).status().message(),
            "wrong key");
  FakeAuthor author = good_author();
  programs.on_generate = [](const std::string&, int) -> Result<ProgramRun> {
    return cancelled("stopped");
  };
  EXPECT_EQ(make_one(fake_problem("p", 3), small(), &author, programs).status().code(),
            StatusCode::cancelled);
}

TEST(MakeOne, AGivenGeneratorNeedsNoAuthor) {
  FakePrograms programs;
  Problem problem = fake_problem("p", 3);
  problem.generator = "given";
  const auto record = make_one(problem, small(), nullptr, programs);
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->state, State::kept);
  EXPECT_EQ(record->best.generator, "given");
}

TEST(Row, IsOneThatTheCodeRewardReads) {
  Problem problem = fake_problem("p", 3);
  problem.data_source = "contest";
  problem.extra_info["difficulty"] = 2;
  Attempt attempt;
  attempt.inputs = {"1\n", "2\n"};
  attempt.outputs = {"a\n", "b\n"};
  attempt.passing = 3;
  const OrderedJson row = make_row(problem, attempt, "Use a block.");
  EXPECT_EQ(row["id"], "p");
  EXPECT_EQ(row["data_source"], "contest");
  EXPECT_EQ(
      row["prompt"],
      OrderedJson::parse(R"([{"role": "user", "content": "Print the number.\n\nUse a block."}])"));
  EXPECT_EQ(row["extra_info"]["difficulty"], 2);
  const auto suite = reward::suite_of(dump_json(row["reward_model"]["ground_truth"]));
  ASSERT_TRUE(suite.ok()) << suite.status().message();
  EXPECT_EQ((*suite)["tests"][1], Json::parse(R"({"input": "2\n", "output": "b\n"})"));
  EXPECT_EQ(make_row(problem, attempt, "")["prompt"][0]["content"], problem.statement);
}

}  // namespace
}  // namespace longshot::curate
