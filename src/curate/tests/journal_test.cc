#include "curate/tests/journal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/os/fs.h"
#include "base/os/stop.h"
#include "curate/tests/make_all.h"
#include "curate/tests/testing.h"

namespace longshot::curate {
namespace {

class InFolder : public ::testing::Test {
 protected:
  void SetUp() override { EXPECT_TRUE(remove_tree(folder_).ok()); }
  void TearDown() override {
    clear_stop_request();
    EXPECT_TRUE(remove_tree(folder_).ok());
  }
  Result<Journal> open(int seed = 1) {
    OrderedJson settings;
    settings["seed"] = seed;
    return Journal::open(folder_, settings);
  }
  static Record record(const Problem& problem, State state, Reason reason = Reason::none) {
    Record record;
    record.id = problem.id;
    record.content_hash = problem.content_hash;
    record.state = state;
    record.reason = reason;
    return record;
  }
  static OrderedJson row(const std::string& text) {
    OrderedJson row;
    row["row"] = text;
    return row;
  }
  std::string text(const char* name) { return read_file(folder_ / name).value(); }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("make_tests" + std::to_string(::getpid()));
};

TEST_F(InFolder, WhatIsWrittenIsFoundAgainInTheOrderOfTheInput) {
  const std::vector<Problem> problems = {fake_problem("a", 1), fake_problem("b", 1),
                                         fake_problem("c", 1), fake_problem("d", 1)};
  {
    auto journal = open();
    ASSERT_TRUE(journal.ok()) << journal.status().message();
    ASSERT_TRUE(journal->append(record(problems[2], State::kept), row("c")).ok());
    ASSERT_TRUE(journal->append(record(problems[1], State::dropped, Reason::no_code), {}).ok());
    ASSERT_TRUE(journal->append(record(problems[0], State::error), {}).ok());
    ASSERT_TRUE(journal->append(record(problems[0], State::kept), row("a")).ok());
    ASSERT_TRUE(journal->append(record(problems[3], State::error), {}).ok());
  }
  auto journal = open();
  ASSERT_TRUE(journal.ok()) << journal.status().message();
  EXPECT_TRUE(journal->is_done(problems[0]));
  EXPECT_TRUE(journal->is_done(problems[1]));
  EXPECT_FALSE(journal->is_done(problems[3])) << "an error is tried again";
  EXPECT_FALSE(journal->is_done(fake_problem("e", 1)));
  int left = -1;
  const Funnel funnel = journal->funnel(problems, &left);
  EXPECT_EQ(funnel.problems, 2);
  EXPECT_EQ(funnel.errors, 1);
  EXPECT_EQ(left, 0);
  ASSERT_TRUE(journal->write_results(problems).ok());
  EXPECT_EQ(text("tests.jsonl"), "{\"row\":\"a\"}\n{\"row\":\"c\"}\n");
  const auto report = OrderedJson::parse(text("report.json"));
  EXPECT_EQ(report["settings"]["seed"], 1);
  EXPECT_EQ(report["funnel"]["problems"], 2);
  ASSERT_EQ(report["problems"].size(), 4u);
  EXPECT_EQ(report["problems"][1]["reason"], "no code");
}

TEST_F(InFolder, AProblemThatChangedIsAnotherOne) {
  Problem problem = fake_problem("a", 1);
  auto journal = open();
  ASSERT_TRUE(journal->append(record(problem, State::kept), row("a")).ok());
  problem.content_hash = "changed";
  EXPECT_FALSE(journal->is_done(problem));
  ASSERT_TRUE(journal->write_results({problem}).ok());
  EXPECT_EQ(text("tests.jsonl"), "");
}

TEST_F(InFolder, BytesThatAreNoTextAreReportedAsReplaced) {
  const Problem problem = fake_problem("a", 1);
  Record broken = record(problem, State::error);
  broken.message = "RE exit code 1: \xff";
  auto journal = open();
  ASSERT_TRUE(journal->append(broken, {}).ok());
  ASSERT_TRUE(journal->write_results({problem}).ok());
  EXPECT_EQ(OrderedJson::parse(text("report.json"))["problems"][0]["message"],
            "RE exit code 1: \uFFFD");
}

TEST_F(InFolder, ALineThatWasCutOffIsForgotten) {
  const Problem a = fake_problem("a", 1), b = fake_problem("b", 1);
  {
    auto journal = open();
    ASSERT_TRUE(journal->append(record(a, State::kept), row("a")).ok());
    ASSERT_TRUE(journal->append(record(b, State::kept), row("b")).ok());
  }
  const std::string whole = text("journal.jsonl");
  for (const size_t cut : {1, 10, 40}) {
    std::ofstream(folder_ / "journal.jsonl", std::ios::trunc)
        << whole.substr(0, whole.size() - cut);
    auto journal = open();
    ASSERT_TRUE(journal.ok()) << journal.status().message();
    EXPECT_TRUE(journal->is_done(a));
    EXPECT_FALSE(journal->is_done(b));
    ASSERT_TRUE(journal->append(record(b, State::kept), row("b")).ok());
    ASSERT_TRUE(journal->write_results({a, b}).ok());
    EXPECT_EQ(text("tests.jsonl"), "{\"row\":\"a\"}\n{\"row\":\"b\"}\n");
    EXPECT_EQ(text("journal.jsonl"), whole);
  }
}

TEST_F(InFolder, OtherOptionsNeedAnotherFolder) {
  { ASSERT_TRUE(open(1).ok()); }
  {
    auto journal = open(2);  // no record was made with the first ones
    ASSERT_TRUE(journal.ok());
    ASSERT_TRUE(
        journal->append(record(fake_problem("a", 1), State::dropped, Reason::no_code), {}).ok());
  }
  const Status status = open(3).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_NE(status.message().find("seed was 2, now 3"), std::string::npos) << status.message();
  EXPECT_TRUE(open(2).ok());
}

TEST_F(InFolder, AFileThatIsNoJournalIsNamed) {
  { ASSERT_TRUE(open().ok()); }
  std::ofstream(folder_ / "journal.jsonl", std::ios::app) << "not JSON\n";
  const Status status = open().status();
  EXPECT_EQ(status.code(), StatusCode::corrupt);
  EXPECT_NE(status.message().find("journal.jsonl:2"), std::string::npos) << status.message();
}

RunOptions run_options(int concurrency) {
  RunOptions options;
  options.make.thresholds = {
      .cases = 2, .submissions = 1, .min_agree = 1, .min_valid = 1, .min_passing = 1};
  options.concurrency = concurrency;
  return options;
}

std::vector<Problem> given(int count) {
  std::vector<Problem> problems;
  for (int i = 0; i < count; ++i) {
    problems.push_back(fake_problem("p" + std::to_string(i), 1));
    problems.back().generator = "g";
  }
  return problems;
}

TEST_F(InFolder, AStoppedRunGoesOnAndGivesTheSameFile) {
  const auto problems = given(9);
  FakePrograms programs;
  {
    auto whole = open();
    ASSERT_TRUE(
        make_all(problems, run_options(3), nullptr, programs, *whole, [](const Record&) {}).ok());
    ASSERT_TRUE(whole->write_results(problems).ok());
  }
  const std::string expected = text("tests.jsonl");
  EXPECT_EQ(std::count(expected.begin(), expected.end(), '\n'), 9);
  EXPECT_TRUE(remove_tree(folder_).ok());
  int done = 0;
  {
    auto journal = open();
    const Status status =
        make_all(problems, run_options(1), nullptr, programs, *journal, [&](const Record&) {
          if (++done == 4) request_stop();
        });
    EXPECT_EQ(status.code(), StatusCode::cancelled);
    EXPECT_EQ(done, 4);
  }
  clear_stop_request();
  auto journal = open();
  ASSERT_TRUE(make_all(problems, run_options(2), nullptr, programs, *journal, [&](const Record&) {
                ++done;
              }).ok());
  EXPECT_EQ(done, 9);
  ASSERT_TRUE(journal->write_results(problems).ok());
  EXPECT_EQ(text("tests.jsonl"), expected);
}

TEST_F(InFolder, AnErrorThatConcernsAllEndsTheRun) {
  auto problems = given(5);
  for (Problem& problem : problems) problem.generator.clear();
  FakePrograms programs;
  FakeAuthor author([](int) -> Result<std::string> { return invalid_argument("wrong key"); });
  auto journal = open();
  const Status status =
      make_all(problems, run_options(1), &author, programs, *journal, [](const Record&) {});
  EXPECT_EQ(status.message(), "wrong key");
  EXPECT_EQ(author.asked, 1);
}

}  // namespace
}  // namespace longshot::curate
