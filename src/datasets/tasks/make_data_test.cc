#include "datasets/tasks/make_data.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "base/os/fs.h"
#include "datasets/preference.h"
#include "datasets/prompts.h"
#include "datasets/rows.h"
#include "datasets/tasks/tasks.h"

namespace longshot::datasets {
namespace {

using testing::HasSubstr;

class MakeData : public testing::Test {
 protected:
  MakeData() : directory_(testing::TempDir() + "longshot_make_" + std::to_string(getpid())) {}
  ~MakeData() override { std::filesystem::remove_all(directory_); }

  MakeOptions options(const std::string& task) {
    MakeOptions o;
    o.task = task;
    o.directory = directory_;
    o.train = 400;
    o.val = 60;
    o.sft = 300;
    return o;
  }
  std::vector<Row> rows(const std::string& name) {
    return read_rows({directory_ + "/" + name}).value();
  }
  std::string bytes(const std::string& name) { return read_file(directory_ + "/" + name).value(); }

  std::string directory_;
};

// The content of a prompt: in addition and countdown another order of the numbers does not make a
// new problem.
std::string content_of(const std::string& task, std::string prompt) {
  if (task == "chain" || task == "programs" || task == "search") return prompt;
  if (task == "check") return prompt.substr(0, prompt.find('='));
  const size_t target = std::min(prompt.find('>'), prompt.size());
  std::string tail = prompt.substr(target);
  prompt.resize(target);
  for (char& c : prompt) c = std::isdigit(c) ? c : ' ';
  std::vector<std::string> numbers;
  std::stringstream stream(prompt);
  for (std::string n; stream >> n;) numbers.push_back(n);
  std::sort(numbers.begin(), numbers.end());
  return fmt::format("{}{}", fmt::join(numbers, " "), tail);
}

TEST_F(MakeData, ValidationProblemsOccurNowhereElse) {
  for (const Task& task : tasks()) {
    MakeOptions o = options(task.name);
    o.low_level = 2;
    o.high_level = 4;
    ASSERT_TRUE(make_data(o).ok());
    std::map<std::string, std::set<std::string>> problems;
    for (const char* split : {"train", "val"}) {
      const auto prompts = read_prompts({directory_ + "/" + split + ".jsonl"}, {});
      ASSERT_TRUE(prompts.ok()) << prompts.status().to_string();
      for (const auto& p : *prompts) {
        problems[split].insert(content_of(task.name, p.messages[0].content.text()));
        EXPECT_EQ(p.data_source, task.data_source);
        EXPECT_GE(p.difficulty, 2);
        EXPECT_LE(p.difficulty, 4);
      }
    }
    for (const Row& row : rows("sft.jsonl"))
      problems["sft"].insert(content_of(task.name, row.json["prompt"]));
    EXPECT_EQ(problems["train"].size(), 400u);
    EXPECT_EQ(problems["val"].size(), 60u);
    if (task.many_completions) {
      EXPECT_LT(problems["sft"].size(), 300u);  // some problems have several rows
    } else {
      EXPECT_EQ(problems["sft"].size(), 300u);
    }
    std::set<std::string> distinct;
    for (const Row& row : rows("sft.jsonl")) distinct.insert(dump_json(row.json));
    EXPECT_EQ(distinct.size(), 300u);
    for (const std::string& p : problems["val"]) {
      EXPECT_FALSE(problems["train"].contains(p) || problems["sft"].contains(p)) << p;
    }
    EXPECT_EQ(bytes("alphabet.txt"), task.alphabet);
  }
}

TEST_F(MakeData, ATaskThatJudgesGivesRowsForRewardModels) {
  for (const Style style : all_of<Style>()) {
    MakeOptions o = options("check");
    o.style = style;
    ASSERT_TRUE(make_data(o).ok());
    for (const auto& [supervised, claims] :
         {std::pair{"sft.jsonl", "rm.jsonl"}, {"val.jsonl", "rm_val.jsonl"}}) {
      const auto asked = rows(supervised);
      const auto judged = read_judged({directory_ + "/" + claims});
      ASSERT_TRUE(judged.ok()) << judged.status().message();
      ASSERT_EQ(judged->size(), asked.size());
      int right = 0;
      for (size_t i = 0; i < asked.size(); ++i) {
        const std::string whole = dump_json(asked[i].json);
        EXPECT_NE(whole.find((*judged)[i].response), std::string::npos) << whole;
        EXPECT_NE(whole.find((*judged)[i].question[0].content.text()), std::string::npos) << whole;
        right += (*judged)[i].label == 1;
      }
      EXPECT_GT(right, static_cast<int>(asked.size()) * 3 / 10);
      EXPECT_LT(right, static_cast<int>(asked.size()) * 7 / 10);
    }
  }
}

TEST_F(MakeData, SameSeedSameFiles) {
  MakeOptions o = options("countdown");
  ASSERT_TRUE(make_data(o).ok());
  const auto train = bytes("train.jsonl"), sft = bytes("sft.jsonl");
  ASSERT_TRUE(make_data(o).ok());
  EXPECT_EQ(bytes("train.jsonl"), train);
  EXPECT_EQ(bytes("sft.jsonl"), sft);
  o.seed = 1;
  ASSERT_TRUE(make_data(o).ok());
  EXPECT_NE(bytes("train.jsonl"), train);
}

TEST_F(MakeData, FormsAndStyles) {
  MakeOptions o = options("countdown");
  o.format = RowFormat::trl;
  ASSERT_TRUE(make_data(o).ok());
  Json row = rows("train.jsonl")[0].json;
  EXPECT_TRUE(row["prompt"].is_string());
  EXPECT_TRUE(row["ground_truth"].contains("target"));
  o.style = Style::text;
  ASSERT_TRUE(make_data(o).ok());
  row = rows("train.jsonl")[0].json;
  EXPECT_EQ(row["prompt"][0]["role"], "user");
  row = rows("sft.jsonl")[0].json;
  EXPECT_EQ(row["completion"][0]["role"], "assistant");
}

TEST_F(MakeData, EasyLevelsGiveWhatTheyHave) {
  MakeOptions o = options("addition");
  o.low_level = 1;
  o.high_level = 3;
  ASSERT_TRUE(make_data(o).ok());
  std::map<int, int> levels;
  for (const Row& row : rows("train.jsonl"))
    ++levels[row.json["extra_info"]["difficulty"].get<int>()];
  EXPECT_GT(levels[1], 30);
  EXPECT_GT(levels[3], levels[1]);
  o.high_level = 1;
  EXPECT_THAT(make_data(o).message(),
              HasSubstr("train: 400 rows asked for, but levels 1-1 have about"));
}

TEST_F(MakeData, WrongOptionsAreErrors) {
  EXPECT_THAT(make_data(options("sums")).message(),
              HasSubstr("known are addition, chain, check, countdown, programs"));
  MakeOptions o = options("countdown");
  o.low_level = o.high_level = 9;
  EXPECT_THAT(make_data(o).message(), HasSubstr("levels 2-6 (numbers to use)"));
  o = options("countdown");
  o.val = -1;
  EXPECT_THAT(make_data(o).message(), HasSubstr("not be negative"));
}

}  // namespace
}  // namespace longshot::datasets
