#include "base/os/folder_lock.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "base/os/fs.h"

namespace longshot {
namespace {

namespace fs = std::filesystem;

fs::path fresh_folder() {
  const fs::path folder =
      fs::path(testing::TempDir()) / ("folder_lock." + std::to_string(getpid()));
  fs::remove_all(folder);
  return folder;
}

// A process that holds the lock of a folder until it is killed.
class Holder {
 public:
  explicit Holder(const fs::path& folder) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    // Otherwise the destructor would call kill(-1), which signals every process.
    if (pid_ < 0) std::abort();
    if (pid_ == 0) {
      const auto lock = FolderLock::take(folder);
      const char answer = lock.ok() ? 'y' : 'n';
      if (write(ends[1], &answer, 1) == 1) pause();
      _exit(0);
    }
    char answer = 0;
    EXPECT_EQ(read(ends[0], &answer, 1), 1);
    has_it = answer == 'y';
    close(ends[0]);
    close(ends[1]);
  }
  ~Holder() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }
  bool has_it = false;

 private:
  pid_t pid_;
};

TEST(FolderLock, AnotherProcessIsRefusedAndToldWhoHasIt) {
  const fs::path folder = fresh_folder() / "made/too";
  const Holder holder(folder);
  ASSERT_TRUE(holder.has_it);
  const auto refused = FolderLock::take(folder);
  ASSERT_EQ(refused.status().code(), StatusCode::invalid_argument);
  const std::string& message = refused.status().message();
  EXPECT_NE(message.find("in use by process " + std::to_string(holder.pid()) + ":"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find(folder.string()), std::string::npos);
  EXPECT_EQ(*list_files(folder), std::vector<std::string>{"lock"});
}

TEST(FolderLock, GoesWithItsProcess) {
  const fs::path folder = fresh_folder();
  { const Holder killed(folder); }
  const auto lock = FolderLock::take(folder);
  EXPECT_TRUE(lock.ok()) << lock.status().message();
  EXPECT_FALSE(Holder(folder).has_it);
}

TEST(FolderLock, GoesWithItsObject) {
  const fs::path folder = fresh_folder();
  std::optional<FolderLock> moved;
  {
    auto lock = FolderLock::take(folder);
    ASSERT_TRUE(lock.ok()) << lock.status().message();
    moved.emplace(std::move(*lock));
  }
  EXPECT_FALSE(Holder(folder).has_it);
  moved.reset();
  EXPECT_TRUE(Holder(folder).has_it);
}

TEST(FolderLock, UndoingRemovesWhatWasMadeAndNothingElse) {
  const fs::path folder = fresh_folder();
  FolderLock::take(folder)->undo();
  EXPECT_FALSE(fs::exists(folder));
  fs::create_directories(folder);
  ASSERT_TRUE(write_file_durable(folder / "other", "").ok());
  FolderLock::take(folder)->undo();
  EXPECT_EQ(*list_files(folder), std::vector<std::string>{"other"});
  { const auto leaves_its_file = FolderLock::take(folder); }
  FolderLock::take(folder)->undo();
  EXPECT_EQ(*list_files(folder), (std::vector<std::string>{"lock", "other"}));
}

TEST(FolderLock, AFolderThatCannotBeMadeIsNamed) {
  const fs::path file = fresh_folder();
  ASSERT_TRUE(write_file_durable(file, "").ok());
  const auto lock = FolderLock::take(file);
  EXPECT_EQ(lock.status().code(), StatusCode::io_error);
  EXPECT_NE(lock.status().message().find(file.string()), std::string::npos);
}

}  // namespace
}  // namespace longshot
