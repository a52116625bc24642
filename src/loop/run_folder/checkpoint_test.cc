#include "loop/run_folder/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/os/fs.h"

namespace longshot::loop {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() { fs::remove_all(directory_); }
  ~CheckpointTest() override { fs::remove_all(directory_); }

  Status save(int64_t iteration, const std::string& content = "weights") {
    return store_.save(
        iteration, {{"iteration", iteration}, {"config", ""}}, [&](const std::string& where) {
          LS_RETURN_IF_ERROR(make_directories(where + "/huggingface"));
          return write_file_durable(where + "/huggingface/model.safetensors", content);
        });
  }

  std::string directory_ = ::testing::TempDir() + "checkpoint_test";
  CheckpointStore store_{directory_, 2};
};

TEST_F(CheckpointTest, SavesOpensAndKeepsTheNewest) {
  for (int64_t i : {5, 10, 15}) ASSERT_TRUE(save(i).ok());
  EXPECT_EQ(store_.iterations(), (std::vector<int64_t>{15, 10}));
  const auto checkpoint = store_.open(store_.directory_of(15));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->iteration, 15);
  EXPECT_EQ(read_file(directory_ + "/latest_checkpointed_iteration.txt").value(), "15\n");
}

TEST_F(CheckpointTest, KeepsThoseThatAreExempt) {
  store_.exempt({5, 15});
  for (int64_t i : {5, 10, 15, 20, 25}) ASSERT_TRUE(save(i).ok());
  EXPECT_EQ(store_.iterations(), (std::vector<int64_t>{25, 20, 15, 5}));
  store_.exempt({});
  ASSERT_TRUE(save(30).ok());
  EXPECT_EQ(store_.iterations(), (std::vector<int64_t>{30, 25}));
}

TEST_F(CheckpointTest, AnyFlippedByteOrCutFileIsFound) {
  ASSERT_TRUE(save(1).ok());
  const std::string dir = store_.directory_of(1);
  const auto files = list_files(dir).value();
  ASSERT_EQ(files.size(), 3u);
  for (const std::string& file : files) {
    const std::string path = dir + "/" + file, good = read_file(path).value();
    for (size_t i = 0; i < good.size(); i += 3) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 1);
      ASSERT_TRUE(write_file_durable(path, bad).ok());
      const auto opened = store_.open(dir);
      // A manifest with a changed byte may only be valid if it states the same facts.
      EXPECT_FALSE(opened.ok()) << file << " byte " << i;
    }
    ASSERT_TRUE(write_file_durable(path, good.substr(0, good.size() / 2)).ok());
    EXPECT_FALSE(store_.open(dir).ok()) << file << " cut";
    ASSERT_TRUE(write_file_durable(path, good).ok());
  }
  EXPECT_TRUE(store_.open(dir).ok());
}

TEST_F(CheckpointTest, AFailedWriteLeavesNothingAndTouchesNothing) {
  ASSERT_TRUE(save(1).ok());
  const Status status =
      store_.save(2, {{"iteration", 2}, {"config", ""}}, [](const std::string& where) {
        LS_RETURN_IF_ERROR(write_file_durable(where + "/part", "half"));
        return io_error("no space left on device");
      });
  EXPECT_EQ(status.code(), StatusCode::io_error);
  EXPECT_NE(status.message().find("iteration 2"), std::string::npos);
  EXPECT_FALSE(fs::exists(directory_ + "/checkpoint.tmp"));
  EXPECT_EQ(store_.iterations(), (std::vector<int64_t>{1}));
}

TEST_F(CheckpointTest, AnIterationIsNeverSavedOverAnother) {
  ASSERT_TRUE(save(3, "first").ok());
  EXPECT_EQ(save(3, "second").code(), StatusCode::io_error);
  ASSERT_TRUE(store_.open(store_.directory_of(3)).ok());
  EXPECT_EQ(read_file(store_.directory_of(3) + "/huggingface/model.safetensors").value(), "first");
}

TEST_F(CheckpointTest, PruningSparesTheOneJustWritten) {
  for (int64_t i : {20, 30}) ASSERT_TRUE(save(i).ok());
  ASSERT_TRUE(save(12).ok());
  EXPECT_EQ(store_.iterations(), (std::vector<int64_t>{30, 12}));
  EXPECT_EQ(store_.latest(), 12);
}

TEST_F(CheckpointTest, ARenamedCheckpointIsRefused) {
  ASSERT_TRUE(save(3).ok());
  fs::rename(store_.directory_of(3), store_.directory_of(5));
  const auto opened = store_.open(store_.directory_of(5));
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.status().message().find("holds iteration 3"), std::string::npos);
  fs::rename(store_.directory_of(5), directory_ + "/copy");
  EXPECT_TRUE(store_.open(directory_ + "/copy/").ok());
}

TEST_F(CheckpointTest, LatestIsANumberOrIsNotUsed) {
  EXPECT_EQ(store_.latest(), std::nullopt);
  fs::create_directories(directory_);
  const std::string path = directory_ + "/latest_checkpointed_iteration.txt";
  for (const char* text : {"7", "7\n", "7 \r\n"}) {
    ASSERT_TRUE(write_file_durable(path, text).ok());
    EXPECT_EQ(store_.latest(), 7) << text;
  }
  for (const char* text : {"", "-7", "seven", "7 8", "99999999999999999999"}) {
    ASSERT_TRUE(write_file_durable(path, text).ok());
    EXPECT_EQ(store_.latest(), std::nullopt) << text;
  }
}

TEST(SaveRetry, TheThirdFailureInARowEndsTheRun) {
  SaveRetry retry;
  const Status full = io_error("no space");
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(retry.after(full).ok());
    EXPECT_TRUE(retry.due());
    EXPECT_TRUE(retry.after(full).ok());
    EXPECT_TRUE(retry.after(ok_status()).ok());
    EXPECT_FALSE(retry.due());
  }
  EXPECT_TRUE(retry.after(full).ok());
  EXPECT_TRUE(retry.after(full).ok());
  EXPECT_EQ(retry.after(full).code(), StatusCode::io_error);
}

TEST_F(CheckpointTest, OtherFoldersAreNotCheckpoints) {
  for (const char* name :
       {"global_step_", "global_step_x1", "global_step_99999999999999999999", "other"}) {
    fs::create_directories(directory_ + "/" + name);
  }
  EXPECT_TRUE(store_.iterations().empty());
}

}  // namespace
}  // namespace longshot::loop
