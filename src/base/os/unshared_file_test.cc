#include "base/os/unshared_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "base/os/fs.h"

namespace longshot {
namespace {

namespace fs = std::filesystem;

class OpenUnshared : public ::testing::Test {
 protected:
  OpenUnshared() {
    std::string pattern = "/dev/shm/longshot_unshared_XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    from_ = root_ / "from";
    to_ = root_ / "to";
    std::ofstream(from_) << "content";
  }
  ~OpenUnshared() override { fs::remove_all(root_); }

  // Closes what it opened.
  bool opens() {
    const int fd = open_unshared(from_, to_);
    if (fd >= 0) ::close(fd);
    EXPECT_FALSE(fs::exists(from_));
    EXPECT_EQ(fs::exists(to_), fd >= 0);
    return fd >= 0;
  }

  fs::path root_, from_, to_;
};

TEST_F(OpenUnshared, AFileWithoutOtherUsesKeepsItsMemory) {
  ASSERT_EQ(::truncate(from_.c_str(), 1 << 20), 0);
  const int fd = open_unshared(from_, to_);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(::pwrite(fd, "C", 1, 0), 1);
  ::close(fd);
  EXPECT_EQ(fs::file_size(to_), 1 << 20);
  EXPECT_EQ(read_file(to_).value().substr(0, 7), "Content");
}

TEST_F(OpenUnshared, ADescriptorIsAUse) {
  const int reader = ::open(from_.c_str(), O_RDONLY);
  ASSERT_GE(reader, 0);
  EXPECT_FALSE(opens());
  char text[7];
  EXPECT_EQ(::pread(reader, text, 7, 0), 7);
  EXPECT_EQ(std::string(text, 7), "content");
  ::close(reader);
}

TEST_F(OpenUnshared, AMappingIsAUse) {
  const auto mapped = MappedFile::open(from_);
  ASSERT_TRUE(mapped.ok());
  EXPECT_FALSE(opens());
  EXPECT_EQ(mapped->bytes(), "content");
}

TEST_F(OpenUnshared, AMappingOfAnotherProcessIsAUse) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto mapped = MappedFile::open(from_);
    if (!mapped.ok() || ::write(ready[1], "r", 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_FALSE(opens());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(OpenUnshared, AnotherNameIsAUse) {
  fs::create_hard_link(from_, root_ / "other");
  EXPECT_FALSE(opens());
  EXPECT_EQ(read_file(root_ / "other").value(), "content");
}

TEST_F(OpenUnshared, AFileOnDiskIsNotOpened) {
  const fs::path disk = fs::path(::testing::TempDir()) / "longshot_unshared";
  struct statfs system {};
  ASSERT_EQ(::statfs(::testing::TempDir().c_str(), &system), 0);
  if (system.f_type == TMPFS_MAGIC) GTEST_SKIP() << "the temporary folder lies in memory";
  std::ofstream(disk) << "content";
  EXPECT_EQ(open_unshared(disk, disk.string() + ".to"), -1);
  EXPECT_FALSE(fs::exists(disk));
}

TEST_F(OpenUnshared, AMissingFileIsNotOpened) {
  fs::remove(from_);
  EXPECT_FALSE(opens());
}

}  // namespace
}  // namespace longshot
