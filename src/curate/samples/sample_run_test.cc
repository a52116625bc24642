#include "curate/samples/sample_run.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <mutex>
#include <set>

#include "base/os/fs.h"
#include "base/os/stop.h"

namespace longshot::curate {
namespace {

// Responds to prompt N with "N" at index `right`, and with "wrong" at other indices. Fails at the
// (prompt, index) pairs in `failing`.
class FakeSource : public SampleSource {
 public:
  std::vector<Response> ask(const data::Prompt& prompt,
                            const std::vector<uint32_t>& indices) override {
    std::lock_guard lock(mutex_);
    std::vector<Response> responses;
    for (const uint32_t index : indices) {
      asked.insert({prompt.id, index});
      Response& response = responses.emplace_back();
      if (failing.contains({prompt.id, index})) {
        response.status = status;
        continue;
      }
      response.sample.text = index % every == every - 1 ? prompt.id : "wrong";
      response.sample.finish = data::FinishReason::stop;
      response.tokens = 10 + index;
    }
    return responses;
  }

  uint32_t every = 1;  // each `every`-th sample is right
  std::set<std::pair<std::string, uint32_t>> failing;
  Status status = unavailable("gone");
  std::multiset<std::pair<std::string, uint32_t>> asked;

 private:
  std::mutex mutex_;
};

class SampleRun : public ::testing::Test {
 protected:
  void SetUp() override {
    EXPECT_TRUE(remove_tree(folder_).ok());
    reward::RewardOptions rewards;
    rewards.rewards = reward::parse_reward_list(Json::array({"exact"})).value();
    rewards_ = reward::RewardStage::create(rewards).value();
    for (int i = 0; i < 6; ++i) {
      Ask ask;
      ask.prompt.id = std::to_string(i);
      ask.prompt.text = "say " + ask.prompt.id;
      ask.prompt.ground_truth = ask.prompt.id;
      ask.asked = ask.prompt;
      asks_.push_back(ask);
    }
    options_.n = 4;
    options_.prompts_at_once = 3;
  }
  void TearDown() override {
    clear_stop_request();
    EXPECT_TRUE(remove_tree(folder_).ok());
  }

  Result<SampleResult> run() {
    auto journal = SampleJournal::open(folder_, {{"seed", 1}});
    if (!journal.ok()) return journal.status();
    return run_samples(
        asks_, options_, source_, rewards_.get(), *journal,
        [this](const SampleProgress& p) { on_prompt_(p); }, [](const JudgedPrompt&) {});
  }
  std::string rows() { return read_file(folder_ / "samples.jsonl").value(); }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("sample_run" + std::to_string(::getpid()));
  std::vector<Ask> asks_;
  SampleRunOptions options_;
  FakeSource source_;
  std::unique_ptr<reward::RewardStage> rewards_;
  std::function<void(const SampleProgress&)> on_prompt_ = [](const SampleProgress&) {};
};

TEST_F(SampleRun, RowsHaveTheOrderOfTheInputAndAllSamples) {
  source_.every = 2;
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->rows, 6u);
  EXPECT_EQ(result->all_samples, 24);
  int line = 0;
  std::istringstream in(rows());
  for (std::string text; std::getline(in, text); ++line) {
    const auto row = judged_prompt_from_json(parse_ordered_json(text, "row").value(), "row");
    ASSERT_TRUE(row.ok()) << row.status().message();
    EXPECT_EQ(row->id, std::to_string(line));
    ASSERT_EQ(row->samples.size(), 4u);
    for (const JudgedSample& s : row->samples) EXPECT_EQ(s.correct, s.index % 2 == 1);
  }
  EXPECT_EQ(line, 6);
}

TEST_F(SampleRun, AStoppedRunContinuesToTheSameBytes) {
  ASSERT_TRUE(run().ok());
  const std::string whole = rows();
  for (int64_t after = 1; after < 6; ++after) {
    ASSERT_TRUE(remove_tree(folder_).ok());
    source_.asked.clear();
    on_prompt_ = [&](const SampleProgress& p) {
      if (p.prompts == after) request_stop();
    };
    EXPECT_EQ(run().status().code(), StatusCode::cancelled);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "samples.jsonl"));
    clear_stop_request();
    on_prompt_ = [](const SampleProgress&) {};
    const size_t before = source_.asked.size();
    ASSERT_TRUE(run().ok());
    EXPECT_EQ(rows(), whole);
    EXPECT_LE(source_.asked.size() - before, 4u * static_cast<size_t>(6 - after));
  }
}

TEST_F(SampleRun, MoreSamplesExtendTheRecordsAndFewerShortenTheRows) {
  ASSERT_TRUE(run().ok());
  const std::string four = rows();
  options_.n = 6;
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(source_.asked.size(), 36u);
  EXPECT_EQ(source_.asked.count({"0", 0}), 1u);
  options_.n = 4;
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(rows(), four);
  EXPECT_EQ(source_.asked.size(), 36u);
}

TEST_F(SampleRun, OnlyFailedSamplesAreAskedForAgain) {
  source_.failing = {{"2", 1}};
  auto result = run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->all_errors, 1);
  EXPECT_NE(rows().find(R"("error":"unavailable: gone")"), std::string::npos);
  source_.failing.clear();
  result = run();
  EXPECT_EQ(result->all_errors, 0);
  EXPECT_EQ(source_.asked.size(), 25u);
  EXPECT_EQ(source_.asked.count({"2", 1}), 2u);
  EXPECT_EQ(rows().find("error"), std::string::npos);
}

TEST_F(SampleRun, AFailedJudgementIsRepeatedWithoutANewResponse) {
  Ask& ask = asks_[0];
  auto journal = SampleJournal::open(folder_, {{"seed", 1}}).value();
  JudgedSample sample;
  sample.response = "0";
  sample.finish = "stop";
  sample.error = "exact: timeout";
  ASSERT_TRUE(journal.append(ask, {sample}).ok());
  options_.n = 1;
  asks_.resize(1);
  const auto result = run();
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(source_.asked.empty());
  EXPECT_NE(rows().find(R"("correct":true)"), std::string::npos);
}

TEST_F(SampleRun, APromptEndsWithEnoughCorrectSamples) {
  source_.every = 3;  // indices 2, 5, 8 are right
  options_.n = 8;
  options_.until_correct = 2;
  ASSERT_TRUE(run().ok());
  for (const Ask& ask : asks_) {
    EXPECT_EQ(source_.asked.count({ask.prompt.id, 5}), 1u);
    EXPECT_EQ(source_.asked.count({ask.prompt.id, 6}), 0u);
  }
  options_.until_correct = 1;
  ASSERT_TRUE(run().ok());
  const std::string first = rows().substr(0, rows().find('\n'));
  const auto row = judged_prompt_from_json(parse_ordered_json(first, "row").value(), "row");
  EXPECT_EQ(row->samples.size(), 3u);
}

TEST_F(SampleRun, ABudgetGivesTheSamePromptsHoweverItIsSpent) {
  options_.token_budget = 100;  // a prompt takes 46
  const auto result = run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->rows, 3u);
  const std::string three = rows();
  ASSERT_TRUE(remove_tree(folder_).ok());
  options_.prompts_at_once = 1;
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(rows(), three);
  options_.token_budget = 0;
  EXPECT_EQ(run()->rows, 6u);
  EXPECT_EQ(rows().substr(0, three.size()), three);
}

TEST_F(SampleRun, ManyFailuresInARowEndTheRun) {
  options_.max_errors = 5;
  options_.prompts_at_once = 1;
  for (const Ask& ask : asks_)
    for (uint32_t i = 0; i < 4; ++i) source_.failing.insert({ask.prompt.id, i});
  const Status status = run().status();
  EXPECT_EQ(status.code(), StatusCode::unavailable);
  EXPECT_NE(status.message().find("5 samples in a row have failed"), std::string::npos);
  EXPECT_EQ(source_.asked.size(), 20u);  // a prompt counts for one failure
  source_.status = invalid_argument("no such model");
  EXPECT_EQ(run().status().message(), "no such model");
}

TEST_F(SampleRun, OnePromptThatFailsDoesNotEndTheRun) {
  options_.max_errors = 3;
  options_.prompts_at_once = 1;
  for (uint32_t i = 0; i < 4; ++i) source_.failing.insert({asks_[1].prompt.id, i});
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->rows, 6u);
}

TEST_F(SampleRun, APromptThatFailsInManyRoundsDoesNotEndTheRun) {
  options_.max_errors = 3;
  options_.prompts_at_once = 1;
  options_.until_correct = 1;  // a round is one sample
  for (uint32_t i = 0; i < 4; ++i) source_.failing.insert({asks_[1].prompt.id, i});
  const auto result = run();
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->rows, 6u);
  EXPECT_EQ(result->all_errors, 4);
  for (const Ask& ask : asks_)
    for (uint32_t i = 0; i < 4; ++i) source_.failing.insert({ask.prompt.id, i});
  EXPECT_TRUE(remove_tree(folder_).ok());
  EXPECT_EQ(run().status().code(), StatusCode::unavailable);
}

TEST_F(SampleRun, NeighboursThatFailDoNotEndTheRun) {
  options_.n = 100;
  options_.max_errors = 100;
  options_.prompts_at_once = 1;
  for (const size_t bad : {1, 2, 3})
    for (uint32_t i = 0; i < 100; ++i) source_.failing.insert({asks_[bad].prompt.id, i});
  for (int time = 0; time < 2; ++time) {
    const auto result = run();
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_EQ(result->rows, 6u);
    EXPECT_EQ(result->all_errors, 300);
  }
}

TEST_F(SampleRun, WithoutRewardsNothingIsJudged) {
  rewards_.reset();
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(rows().find("score"), std::string::npos);
  EXPECT_EQ(rows().find("error"), std::string::npos);
}

TEST_F(SampleRun, OtherContentIsSampledAgain) {
  ASSERT_TRUE(run().ok());
  asks_[1].asked.text = "please " + asks_[1].asked.text;
  asks_[2].prompt.ground_truth = "7";
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(source_.asked.size(), 32u);
}

TEST(NextIndices, AreAsManyAsMustBeCorrect) {
  const auto indices = [](const std::vector<std::pair<uint32_t, bool>>& known, int n, int until) {
    std::vector<JudgedSample> samples;
    for (const auto& [index, correct] : known) {
      samples.emplace_back().index = index;
      samples.back().correct = correct;
    }
    SampleRunOptions options;
    options.n = n;
    options.until_correct = until;
    return next_indices(samples, options);
  };
  using List = std::vector<uint32_t>;
  EXPECT_EQ(indices({}, 3, 0), (List{0, 1, 2}));
  EXPECT_EQ(indices({{1, true}}, 3, 0), (List{0, 2}));
  EXPECT_EQ(indices({}, 8, 2), (List{0, 1}));
  EXPECT_EQ(indices({{0, true}, {1, false}}, 8, 2), (List{2}));
  EXPECT_EQ(indices({{0, false}, {1, false}}, 8, 2), (List{2, 3}));
  EXPECT_EQ(indices({{0, true}, {1, true}}, 8, 2), (List{}));
  EXPECT_EQ(indices({{0, false}, {1, false}, {2, false}}, 3, 2), (List{}));
  EXPECT_EQ(indices({{0, true}, {2, true}}, 8, 2), (List{1}));
}

}  // namespace
}  // namespace longshot::curate
