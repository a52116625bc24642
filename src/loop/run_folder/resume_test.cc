#include "loop/run_folder/resume.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/os/fs.h"

namespace longshot::loop {
namespace {

namespace fs = std::filesystem;

class ResumeTest : public ::testing::Test {
 protected:
  ResumeTest() { fs::remove_all(directory_); }
  ~ResumeTest() override { fs::remove_all(directory_); }

  void save(int64_t iteration, const std::string& config = "a = 1") {
    const Json state = {{"iteration", iteration},
                        {"config", config},
                        {"inputs", {{"model.path", "1"}, {"data.train_files", "2"}}}};
    ASSERT_TRUE(store_
                    .save(iteration, state,
                          [&](const std::string& where) {
                            LS_RETURN_IF_ERROR(make_directories(where + "/huggingface"));
                            return write_file_durable(where + "/huggingface/model", "weights");
                          })
                    .ok());
  }
  void damage(int64_t iteration) {
    ASSERT_TRUE(write_file_durable(store_.directory_of(iteration) + "/huggingface/model", "").ok());
  }
  // Returns the iteration, -1 for a fresh start, or -2 for an error.
  int64_t start(const std::string& mode = "auto", const std::string& config = "a = 1") {
    const auto found = find_starting_point(store_, mode, config);
    if (!found.ok()) return -2;
    from_ = *found;
    return found->checkpoint ? found->checkpoint->iteration : -1;
  }
  Status settings(const std::string& before, const std::string& now, const Json& inputs = {},
                  bool chosen = false) {
    fs::remove_all(directory_);
    save(1, before);
    EXPECT_EQ(start(), 1);
    from_.chosen = chosen;
    return check_settings(from_, now, inputs);
  }

  std::string directory_ = ::testing::TempDir() + "resume_test";
  CheckpointStore store_{directory_, 9};
  StartingPoint from_;
};

TEST_F(ResumeTest, TheNewestUsableCheckpointIsTaken) {
  EXPECT_EQ(start(), -1);
  for (int64_t i : {1, 2, 3}) save(i);
  EXPECT_EQ(start(), 3);
  damage(3);
  EXPECT_EQ(start(), 2);
  damage(2);
  damage(1);
  const auto none = find_starting_point(store_, "auto", "");
  ASSERT_EQ(none.status().code(), StatusCode::corrupt);
  for (const char* part :
       {"global_step_3: ", "global_step_2: ", "global_step_1: ", "huggingface/model"})
    EXPECT_NE(none.status().message().find(part), std::string::npos) << none.status().message();
}

TEST_F(ResumeTest, LatestIsFollowed) {
  for (int64_t i : {1, 2, 3}) save(i);
  ASSERT_TRUE(store_.set_latest(2).ok());
  EXPECT_EQ(start(), 2);
  ASSERT_TRUE(store_.set_latest(7).ok());
  EXPECT_EQ(start(), 3);
  ASSERT_TRUE(store_.set_latest(0).ok());
  EXPECT_EQ(start(), -2);  // all checkpoints are newer
  for (int64_t i : {1, 2, 3}) fs::remove_all(store_.directory_of(i));
  EXPECT_EQ(start(), -2);  // the named checkpoint is missing
  EXPECT_EQ(start("disable"), -2);
  ASSERT_TRUE(store_.forget_latest().ok());
  EXPECT_EQ(start("disable"), -1);
}

TEST_F(ResumeTest, AChosenCheckpointBeginsACourseThatTheSameCommandContinues) {
  for (int64_t i : {1, 2, 3}) save(i);
  const std::string mode = store_.directory_of(2), config = "mode = '2'";
  ASSERT_EQ(start(mode, config), 2);
  EXPECT_TRUE(from_.chosen && !from_.foreign);
  const std::string aside = store_.name_for_abandoned();
  ASSERT_TRUE(leave_other_courses(store_, from_, aside).ok());
  EXPECT_EQ(store_.iterations(), (std::vector<int64_t>{2, 1}));
  EXPECT_TRUE(store_.open(aside + "/global_step_3").ok());
  EXPECT_EQ(start(), 2);
  save(4, config);
  EXPECT_EQ(start(mode, config), 4);
  EXPECT_FALSE(from_.chosen);
  EXPECT_EQ(start(), 4);
  EXPECT_EQ(start(mode, "mode = 'other'"), 2);  // other settings: a new course
  EXPECT_EQ(start(directory_ + "/nothing", config), 4);
  EXPECT_EQ(start(directory_ + "/nothing", "mode = 'other'"), -2);
  EXPECT_EQ(start(aside + "/global_step_3", "mode = '3'"), 3);
  EXPECT_TRUE(from_.foreign);
}

TEST_F(ResumeTest, SettingsThatTheStateDependsOnAreRefusedByKeyInBothDirections) {
  const std::string with = "[model]\nlora_rank = 4\n", without = "[model]\nlora_rank = 0\n";
  for (const auto& [before, now] : {std::pair(with, without), std::pair(without, with)}) {
    const Status refused = settings(before, now);
    EXPECT_EQ(refused.code(), StatusCode::invalid_argument);
    EXPECT_NE(refused.message().find("model.lora_rank = "), std::string::npos);
  }
  EXPECT_TRUE(settings(with, with).ok());
  EXPECT_TRUE(settings("optim.lr = 1", "optim.lr = 2").ok());
  EXPECT_FALSE(settings("algorithm.name = 'a'", "algorithm.name = 'b'").ok());
  EXPECT_TRUE(settings("algorithm.name = 'a'", "algorithm.name = 'b'", {}, true).ok());
  EXPECT_FALSE(settings("trainer.seed = 1", "trainer.seed = 2", {}, true).ok());
}

TEST_F(ResumeTest, OtherContentOfTheInputsIsRefused) {
  EXPECT_TRUE(settings("", "", {{"model.path", "1"}, {"data.train_files", "2"}}).ok());
  EXPECT_TRUE(settings("", "", {{"model.path", "1"}, {"new", "2"}}).ok());
  const Status refused = settings("", "", {{"model.path", "3"}});
  EXPECT_NE(refused.message().find("model.path"), std::string::npos);
  // The checkpoint contains its own model.
  EXPECT_TRUE(settings("", "", {{"model.path", "3"}}, true).ok());
  EXPECT_FALSE(settings("", "", {{"data.train_files", "3"}}, true).ok());
}

TEST_F(ResumeTest, FingerprintsAreOfTheContent) {
  const auto print = [&](const std::string& content, const std::string& name) {
    fs::create_directories(directory_);
    EXPECT_TRUE(write_file_durable(directory_ + "/" + name, content).ok());
    return fingerprints({{"k", {directory_ + "/" + name, ""}}}).value("k", "");
  };
  EXPECT_EQ(print("a", "x"), print("a", "y"));
  EXPECT_NE(print("a", "x"), print("b", "x"));
  const std::string large(size_t{20} << 20, 'l');
  EXPECT_NE(print(large, "x"), print(large + "l", "x"));
  EXPECT_TRUE(fingerprints({{"k", {""}}, {"gone", {directory_ + "/gone"}}}).empty());
}

TEST_F(ResumeTest, ADiskWithoutRoomForACheckpointIsNamed) {
  fs::create_directories(directory_);
  EXPECT_TRUE(check_room(directory_, 1).ok());
  EXPECT_EQ(check_room(directory_, int64_t{1} << 60).code(), StatusCode::invalid_argument);
}

}  // namespace
}  // namespace longshot::loop
