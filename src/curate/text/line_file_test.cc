#include "curate/text/line_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/os/fs.h"

namespace longshot::curate {
namespace {

std::filesystem::path written(const std::string& text) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("line_file_test." + std::to_string(::getpid()) + ".txt");
  EXPECT_TRUE(write_file_atomic(path, text).ok());
  return path;
}

TEST(LineFile, ReadsLinesByNumber) {
  const std::string large(3 << 20, 'x');  // longer than a block of the index
  const auto file = LineFile::open(written("first\n\n" + large + "\nlast\n"));
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(file->lines(), 4U);
  std::string text;
  ASSERT_TRUE(file->read(3, text).ok());
  EXPECT_EQ(text, "last");
  ASSERT_TRUE(file->read(1, text).ok());
  EXPECT_EQ(text, "");
  Lines lines;
  ASSERT_TRUE(file->read_range(1, 100, lines).ok());
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "");
  EXPECT_EQ(lines[1].size(), large.size());
  EXPECT_EQ(lines[2], "last");
}

TEST(LineFile, RefusesALineThatIsCutOff) {
  EXPECT_EQ(LineFile::open(written("a\nb")).status().code(), StatusCode::corrupt);
  const auto empty = LineFile::open(written(""));
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->lines(), 0U);
  EXPECT_FALSE(LineFile::open("/no/such/file").ok());
}

}  // namespace
}  // namespace longshot::curate
