#include "track/run_follower.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace longshot::track {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() { fs::create_directories(path / "samples"); }
  ~Folder() { fs::remove_all(path); }
  void add(const std::string& file, const std::string& text) const {
    std::ofstream(path / file, std::ios::app) << text;
  }
  const fs::path path = testing::TempDir() + "/follower." + std::to_string(getpid());
};

std::vector<int64_t> steps(const Result<std::vector<Row>>& rows) {
  EXPECT_TRUE(rows.ok()) << rows.status().message();
  std::vector<int64_t> out;
  for (const Row& row : *rows) out.push_back(row.step);
  return out;
}

using Steps = std::vector<int64_t>;

TEST(RunFollower, GivesEachWholeLineOnce) {
  const Folder folder;
  RunFollower follower(folder.path, -1, -1);
  EXPECT_EQ(steps(follower.new_rows()), Steps());
  folder.add("metrics.jsonl", "{\"step\":0,\"a\":1}\n{\"step\":1,\"a\":\"NaN\"}\n{\"step\":2,");
  const auto rows = follower.new_rows();
  EXPECT_EQ(steps(rows), Steps({0, 1}));
  EXPECT_EQ((*rows)[1].metrics, Json({{"a", "NaN"}}));
  EXPECT_EQ(steps(follower.new_rows()), Steps());
  folder.add("metrics.jsonl", "\"a\":3}\n");
  EXPECT_EQ(steps(follower.new_rows()), Steps({2}));
}

TEST(RunFollower, AResumedRunRepeatsNothing) {
  const Folder folder;
  RunFollower follower(folder.path, 0, 0);
  folder.add("metrics.jsonl", "{\"step\":0}\n{\"step\":1}\n{\"step\":2}\n");
  EXPECT_EQ(steps(follower.new_rows()), Steps({1, 2}));
  std::ofstream(folder.path / "metrics.jsonl") << "{\"step\":0}\n{\"step\":1}\n";
  EXPECT_EQ(steps(follower.new_rows()), Steps());
  folder.add("metrics.jsonl", "{\"step\":2}\n{\"step\":3}\n");
  EXPECT_EQ(steps(follower.new_rows()), Steps({3}));
}

TEST(RunFollower, AResumedRunMayGrowBeyondItsOldSizeBetweenTwoLooks) {
  const Folder folder;
  RunFollower follower(folder.path, -1, -1);
  folder.add("metrics.jsonl", "{\"step\":0}\n{\"step\":1,\"seconds\":1}\n");
  EXPECT_EQ(steps(follower.new_rows()), Steps({0, 1}));
  std::ofstream(folder.path / "metrics.jsonl")
      << "{\"step\":0}\n{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n";
  EXPECT_EQ(steps(follower.new_rows()), Steps({2, 3}));
  folder.add("metrics.jsonl", "{\"step\":4}\n");
  EXPECT_EQ(steps(follower.new_rows()), Steps({4}));
}

TEST(RunFollower, ARunWithoutSamplesHasNoEvaluations) {
  const Folder folder;
  fs::remove(folder.path / "samples");
  EXPECT_EQ(*RunFollower(folder.path, -1, -1).new_evaluations(), Steps());
}

TEST(RunFollower, ADamagedLineIsNamed) {
  const Folder folder;
  folder.add("metrics.jsonl", "{\"stepp\":0}\n");
  const auto rows = RunFollower(folder.path, -1, -1).new_rows();
  ASSERT_FALSE(rows.ok());
  EXPECT_NE(rows.status().message().find("metrics.jsonl"), std::string::npos);
}

TEST(RunFollower, EvaluationsComeWithTheirRow) {
  const Folder folder;
  RunFollower follower(folder.path, -1, -1);
  folder.add(
      "samples/held_out_000004.jsonl",
      "{\"step\":4,\"prompt\":\"1+1\",\"response\":\"2\",\"score\":null,\"correct\":true}\n");
  folder.add("samples/samples_000004.jsonl", "{}\n");
  folder.add("metrics.jsonl", "{\"step\":3}\n");
  follower.new_rows();
  EXPECT_EQ(*follower.new_evaluations(), Steps());
  folder.add("metrics.jsonl", "{\"step\":4}\n");
  follower.new_rows();
  EXPECT_EQ(*follower.new_evaluations(), Steps({4}));
  EXPECT_EQ(*follower.new_evaluations(), Steps());
  const auto table = follower.table_of(4);
  ASSERT_TRUE(table.ok()) << table.status().message();
  EXPECT_EQ((*table)["columns"].size(), 8u);
  EXPECT_EQ((*table)["data"],
            Json::array({{"1+1", "2", nullptr, nullptr, nullptr, true, nullptr, nullptr}}));
}

TEST(SettingsOf, ListsKeysAsTheyAreWritten) {
  const Folder folder;
  EXPECT_TRUE(settings_of(folder.path)->empty());
  folder.add("config.toml",
             "[model]\npath = 'a b'\n[reward]\nfunctions = ['auto', {type = 'math'}]\n[optim]\n"
             "lr = 3e-5\n[data]\nshuffle = true\n");
  const auto settings = settings_of(folder.path);
  ASSERT_TRUE(settings.ok()) << settings.status().message();
  const std::map<std::string, std::string> found(settings->begin(), settings->end());
  EXPECT_EQ(found.size(), 4u);
  EXPECT_EQ(found.at("model.path"), "a b");
  EXPECT_EQ(found.at("data.shuffle"), "true");
  EXPECT_EQ(found.at("optim.lr"), "3e-05");
  EXPECT_NE(found.at("reward.functions").find("math"), std::string::npos);
}

}  // namespace
}  // namespace longshot::track
