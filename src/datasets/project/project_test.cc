#include "datasets/project/project.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/json.h"
#include "base/os/fs.h"

namespace longshot::datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class Project : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "/project";
    std::filesystem::remove_all(directory_);
    options_.directory = directory_;
  }

  std::string content(const std::string& name) {
    return read_file(directory_ + "/" + name).value();
  }
  std::vector<Json> rows(const std::string& name) {
    std::vector<Json> rows;
    std::istringstream lines(content(name));
    for (std::string line; std::getline(lines, line);)
      rows.push_back(parse_json(line, name).value());
    return rows;
  }

  std::string directory_;
  ProjectOptions options_;
};

TEST_F(Project, HasAllFilesAndNoWordIsLeftUnreplaced) {
  const auto names = write_project(options_);
  ASSERT_TRUE(names.ok()) << names.status().message();
  EXPECT_THAT(*names, ElementsAre("README.md", "alphabet.txt", "config.toml", "reward.py",
                                  "sft.jsonl", "sft.toml", "train.jsonl", "val.jsonl"));
  for (const char* name : {"README.md", "config.toml", "reward.py", "sft.toml"})
    EXPECT_THAT(content(name), Not(HasSubstr("@"))) << name;
}

TEST_F(Project, TheAnswerOfARowIsItsLettersSorted) {
  ASSERT_TRUE(write_project(options_).ok());
  EXPECT_EQ(rows("train.jsonl").size(), 2000u);
  for (const auto& [file, key] :
       {std::pair{"train.jsonl", "ground_truth"}, std::pair{"val.jsonl", "ground_truth"},
        std::pair{"sft.jsonl", "completion"}}) {
    for (const Json& row : rows(file)) {
      std::string letters = row["prompt"].get<std::string>();
      ASSERT_EQ(letters.back(), '=');
      letters.pop_back();
      std::ranges::sort(letters);
      ASSERT_EQ(row[key].get<std::string>(), letters);
    }
  }
}

TEST_F(Project, NoHeldOutProblemIsTrainedOn) {
  ASSERT_TRUE(write_project(options_).ok());
  std::set<std::string> held_out;
  for (const Json& row : rows("val.jsonl")) held_out.insert(row["prompt"].get<std::string>());
  EXPECT_EQ(held_out.size(), 256u);
  for (const char* file : {"train.jsonl", "sft.jsonl"})
    for (const Json& row : rows(file))
      EXPECT_FALSE(held_out.contains(row["prompt"].get<std::string>())) << file;
}

TEST_F(Project, TwoProjectsAreEqual) {
  ASSERT_TRUE(write_project(options_).ok());
  const std::string first = content("train.jsonl");
  options_.directory = directory_ += "_2";
  std::filesystem::remove_all(directory_);
  ASSERT_TRUE(write_project(options_).ok());
  EXPECT_EQ(content("train.jsonl"), first);
  std::filesystem::remove_all(directory_);
}

TEST_F(Project, AGivenModelNeedsNoWarmUp) {
  options_.model = "/models/it's \"mine\"";
  options_.program = "/opt/long shot";
  const auto names = write_project(options_);
  ASSERT_TRUE(names.ok());
  EXPECT_THAT(*names,
              ElementsAre("README.md", "config.toml", "reward.py", "train.jsonl", "val.jsonl"));
  EXPECT_THAT(content("config.toml"), HasSubstr(R"(path = "/models/it's \"mine\"")"));
  EXPECT_THAT(content("README.md"), HasSubstr(R"(--model '/models/it'\''s "mine"')"));
  EXPECT_THAT(content("README.md"), HasSubstr("'/opt/long shot' train config.toml --dry-run"));
  EXPECT_THAT(content("README.md"), Not(HasSubstr("sft")));
}

TEST_F(Project, AnExistingFileIsNotOverwritten) {
  std::filesystem::create_directories(directory_);
  ASSERT_TRUE(write_file_atomic(directory_ + "/reward.py", "mine").ok());
  ASSERT_TRUE(write_file_atomic(directory_ + "/notes.txt", "mine too").ok());
  const auto names = write_project(options_);
  EXPECT_EQ(names.status().code(), StatusCode::invalid_argument);
  EXPECT_THAT(names.status().message(), HasSubstr("reward.py exists already"));
  EXPECT_EQ(content("reward.py"), "mine");
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/config.toml"));
  // Another file is no obstacle.
  std::filesystem::remove(directory_ + "/reward.py");
  EXPECT_TRUE(write_project(options_).ok());
  EXPECT_EQ(content("notes.txt"), "mine too");
}

}  // namespace
}  // namespace longshot::datasets
