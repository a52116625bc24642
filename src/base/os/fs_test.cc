#include "base/os/fs.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

namespace longshot {
namespace {

namespace fs = std::filesystem;

class TryDirectory : public ::testing::Test {
 protected:
  TryDirectory() {
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  ~TryDirectory() override { fs::remove_all(root_); }
  bool is_empty() const { return fs::is_empty(root_); }

  const fs::path root_ = fs::path(::testing::TempDir()) / "longshot_try_directory";
};

TEST_F(TryDirectory, LeavesNothingBehind) {
  EXPECT_TRUE(try_directory(root_).ok());
  EXPECT_TRUE(try_directory(root_ / "a/b/c").ok());
  EXPECT_TRUE(try_directory(root_ / "a/").ok());
  EXPECT_TRUE(is_empty());
}

TEST_F(TryDirectory, NamesWhatCannotBeCreated) {
  std::ofstream(root_ / "file") << "x";
  fs::create_symlink(root_ / "nowhere", root_ / "dangling");
  for (const fs::path& path : {root_ / "file", root_ / "file/below", root_ / "dangling",
                               root_ / "dangling/below", root_ / std::string(300, 'n'),
                               root_ / "a" / std::string(300, 'n'), fs::path("/proc/none")}) {
    const Status status = try_directory(path);
    EXPECT_FALSE(status.ok()) << path;
    EXPECT_NE(status.message().find(path.string()), std::string::npos) << status.message();
  }
  EXPECT_FALSE(fs::exists(root_ / "nowhere"));
}

TEST_F(TryDirectory, DoesNotDisturbOthersThatTryTheSamePath) {
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) failures += try_directory(root_ / "a/b").ok() ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_TRUE(is_empty());
}

}  // namespace
}  // namespace longshot
