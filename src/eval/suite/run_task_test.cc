#include "eval/suite/run_task.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/check.h"
#include "eval/suite/task_figures.h"
#include "eval/suite/testing.h"

namespace longshot::eval {
namespace {

namespace fs = std::filesystem;

std::vector<Json> rows(int count) {
  std::vector<Json> out;
  for (int i = 0; i < count; ++i)
    out.push_back({{"q", "n " + std::to_string(i)},
                   {"options_list", {"red", "blue", "green"}},
                   {"answer", i % 3}});
  return out;
}

fs::path fresh(const std::string& name) {
  const fs::path path = fs::path(testing::TempDir()) / name;
  fs::remove(path);
  return path;
}

Status run(const Task& task, reward::RewardStage* rewards, int batch, const fs::path& path) {
  Model model;
  auto items = load_items(task, *model.tokenizer, {}, 200, 0);
  LS_CHECK(items.ok(), "items");
  auto file = TaskFile::open(path);
  if (!file.ok()) return file.status();
  TaskRun how;
  how.batch = batch;
  return run_task(*model.engine, task, items->items, rewards, how, *file);
}

double log_sum(const std::vector<float>& logits) {
  double sum = 0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v));
  return std::log(sum);
}

TEST(RunTask, LikelihoodsAreSumsOverTheContinuation) {
  Model model;
  const Task task = choice_task(write_rows("run_quiz.jsonl", rows(4)));
  const fs::path path = fresh("run_quiz_out.jsonl");
  ASSERT_TRUE(run(task, nullptr, 100, path).ok());
  const auto results = *read_results(path);
  ASSERT_EQ(results.size(), 4u);
  const auto items = *load_items(task, *model.tokenizer, {}, 200, 0);
  std::vector<float> logits(kVocab);
  for (size_t i = 0; i < 4; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      std::vector<int32_t> history = items.items[i].prompt.tokens;
      double expected = 0;
      for (const int32_t token : items.items[i].continuations[c]) {
        rollout::FakeRunner::logits_after(history, logits);
        expected += static_cast<double>(logits[static_cast<size_t>(token)]) - log_sum(logits);
        history.push_back(token);
      }
      EXPECT_NEAR(results[i]["logprobs"][c].get<double>(), expected, 1e-4);
    }
  }
  const auto figures = figures_of("quiz", results, {});
  ASSERT_TRUE(figures.ok());
  EXPECT_EQ(figures->problems, 4);
  EXPECT_GE(figures->accuracy_norm, 0);
}

Task sampling_task(const std::string& file) {
  Task task = choice_task(file);
  task.kind = TaskKind::generate;
  task.choices_column = "";
  task.n = 2;
  task.temperature = 1;
  task.max_tokens = 6;
  return task;
}

TEST(RunTask, AnyCutOfTheFileContinuesToTheSameBytes) {
  const Task task = sampling_task(write_rows("run_again.jsonl", rows(7)));
  auto rewards = std::move(*reward::RewardStage::create({}));
  const fs::path whole = fresh("run_whole.jsonl"), cut = fresh("run_cut.jsonl");
  ASSERT_TRUE(run(task, rewards.get(), 4, whole).ok());
  const std::string bytes = *read_file(whole);
  for (size_t size = 0; size <= bytes.size(); size += bytes.size() / 23 + 1) {
    ASSERT_TRUE(write_file_atomic(cut, bytes.substr(0, size)).ok());
    ASSERT_TRUE(run(task, rewards.get(), 100, cut).ok());
    EXPECT_EQ(*read_file(cut), bytes) << "cut at " << size;
  }
  const auto figures = figures_of("quiz", *read_results(whole), {2});
  ASSERT_TRUE(figures.ok()) << figures.status().message();
  EXPECT_EQ(figures->samples, 14);
  EXPECT_TRUE(figures->pass_at_k.contains(2));
  EXPECT_GE(figures->majority_vote, 0);
}

std::string first_lines(const std::string& text, int count) {
  size_t end = 0;
  for (int i = 0; i < count; ++i) end = text.find('\n', end) + 1;
  return text.substr(0, end);
}

// The results are those of a run in which nothing failed.
TEST(RunTask, SamplesWithoutAVerdictAreJudgedAgain) {
  const Task task = sampling_task(write_rows("run_failed.jsonl", rows(7)));
  reward::RewardOptions options;
  options.rewards = *reward::parse_reward_list(Json::array({"service"}), {&kService, 1});
  auto rewards = std::move(*reward::RewardStage::create(options));
  const fs::path whole = fresh("run_sound.jsonl"), path = fresh("run_failed_out.jsonl");
  Service::down_for = "";
  ASSERT_TRUE(run(task, rewards.get(), 4, whole).ok());
  Service::down_for = "1";  // rows 1 and 4
  ASSERT_TRUE(run(task, rewards.get(), 4, path).ok());
  const auto figures = figures_of("quiz", *read_results(path), {});
  EXPECT_EQ(figures->errors, 4);
  EXPECT_NE(figures->frequent_error.find("the service is down"), std::string::npos);
  Service::down_for = "";
  const std::string failed = *read_file(path);
  for (const auto& [lines, judged] : {std::pair(3, 2 + 2 * 4), std::pair(7, 4)}) {
    ASSERT_TRUE(write_file_atomic(path, first_lines(failed, lines)).ok());
    Service::calls = 0;
    ASSERT_TRUE(run(task, rewards.get(), 4, path).ok());
    EXPECT_EQ(*read_file(path), *read_file(whole)) << lines;
    EXPECT_EQ(Service::calls, judged);
  }
}

TEST(RunTask, ResultsOfOtherRowsAreRefused) {
  const Task task = choice_task(write_rows("run_other.jsonl", rows(2)));
  const fs::path path = fresh("run_other_out.jsonl");
  ASSERT_TRUE(write_file_atomic(path, "{\"id\": \"quiz/9\"}\n").ok());
  EXPECT_FALSE(run(task, nullptr, 10, path).ok());
}

}  // namespace
}  // namespace longshot::eval
