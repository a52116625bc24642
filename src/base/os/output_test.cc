#include "base/os/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "base/os/fs.h"
#include "base/os/stop.h"

namespace longshot {
namespace {

namespace fs = std::filesystem;

class OutputTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/output_test.XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  void TearDown() override { fs::remove_all(folder_); }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }
  static std::string content(const fs::path& path) { return read_file(path).value(); }

  fs::path folder_;
};

TEST_F(OutputTest, ARegularFileIsReplacedAsAWhole) {
  const fs::path file = folder_ / "result";
  ASSERT_TRUE(write_output(file, "old").ok());
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  {
    auto output = Output::open(file);
    ASSERT_TRUE(output.ok() && output->write("ne").ok() && output->write("w").ok());
    EXPECT_EQ(content(file), "old");
    EXPECT_TRUE(output->finish().ok());
  }
  EXPECT_EQ(content(file), "new");
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(entries(), 1u);
}

TEST_F(OutputTest, WithoutFinishNothingChanges) {
  ASSERT_TRUE(write_output(folder_ / "result", "old").ok());
  for (const char* name : {"result", "fresh"}) {
    auto output = Output::open(folder_ / name);
    ASSERT_TRUE(output.ok() && output->write("half").ok());
  }
  EXPECT_EQ(content(folder_ / "result"), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(OutputTest, AStreamGrowsInPlaceAndDropsTheOldContentAtItsFirstWrite) {
  const fs::path file = folder_ / "rows";
  ASSERT_TRUE(write_output(file, "much older content").ok());
  auto output = Output::open(file, Output::Kind::stream);
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(content(file), "much older content");
  ASSERT_TRUE(output->write("1\n").ok());
  EXPECT_EQ(content(file), "1\n");
  EXPECT_TRUE(output->finish().ok());
}

TEST_F(OutputTest, LinksAreFollowedAndStay) {
  fs::create_directory(folder_ / "elsewhere");
  ASSERT_TRUE(write_output(folder_ / "elsewhere/target", "old").ok());
  fs::create_symlink("elsewhere/target", folder_ / "one");
  fs::create_symlink("one", folder_ / "two");
  fs::create_symlink("elsewhere/fresh", folder_ / "dangling");
  EXPECT_TRUE(write_output(folder_ / "two", "new").ok());
  EXPECT_TRUE(write_output(folder_ / "dangling", "made").ok());
  EXPECT_TRUE(write_file_atomic(folder_ / "one", "newer").ok());
  EXPECT_TRUE(fs::is_symlink(folder_ / "one") && fs::is_symlink(folder_ / "two"));
  EXPECT_EQ(content(folder_ / "elsewhere/target"), "newer");
  EXPECT_EQ(content(folder_ / "elsewhere/fresh"), "made");
  fs::create_symlink("circle", folder_ / "circle");
  EXPECT_EQ(write_output(folder_ / "circle", "x").code(), StatusCode::invalid_argument);
}

TEST_F(OutputTest, DevicesStayDevicesAndAFullOneIsAnError) {
  EXPECT_TRUE(write_output("/dev/null", "gone").ok());
  const Status full = write_output("/dev/full", "lost");
  EXPECT_EQ(full.code(), StatusCode::io_error);
  EXPECT_NE(full.message().find("/dev/full"), std::string::npos);
  fs::create_symlink("/dev/full", folder_ / "link");
  EXPECT_EQ(write_output(folder_ / "link", "lost").code(), StatusCode::io_error);
  for (const char* device : {"/dev/null", "/dev/full"}) EXPECT_TRUE(fs::is_character_file(device));
}

TEST_F(OutputTest, AFifoIsWrittenToOnceItHasAReader) {
  const fs::path fifo = folder_ / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  std::string got;
  std::thread reader([&] { got = read_file(fifo).value(); });
  EXPECT_TRUE(write_output(fifo, "through").ok());
  reader.join();
  EXPECT_EQ(got, "through");
  EXPECT_TRUE(fs::is_fifo(fifo));
  request_stop();
  EXPECT_EQ(Output::open(fifo).status().code(), StatusCode::cancelled);
  clear_stop_request();
}

// Like /dev/stdout of a shell that appends: writes start at the descriptor's position.
TEST_F(OutputTest, ADescriptorOfThisProcessIsWrittenWhereItStands) {
  const fs::path file = folder_ / "log";
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::write(fd, "before ", 7), 7);
  EXPECT_TRUE(write_output("/dev/fd/" + std::to_string(fd), "result").ok());
  ASSERT_EQ(::write(fd, " after", 6), 6);
  ::close(fd);
  EXPECT_EQ(content(file), "before result after");
}

TEST_F(OutputTest, APlaceThatCannotBeWrittenIsBadInputAndNamed) {
  for (const fs::path& bad : {folder_, folder_ / "no/such", folder_ / "new/"}) {
    const Status status = Output::open(bad).status();
    EXPECT_EQ(status.code(), StatusCode::invalid_argument) << bad;
    EXPECT_NE(status.message().find(bad.string()), std::string::npos) << status.message();
  }
}

}  // namespace
}  // namespace longshot
