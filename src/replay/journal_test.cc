#include "replay/journal.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/fs.h"

namespace longshot::replay {
namespace {

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() { std::filesystem::remove(path_); }
  ~JournalTest() override { std::filesystem::remove(path_); }

  // Writes records 0..n-1 and returns the offset after each.
  std::vector<int64_t> write(int n) {
    Journal journal;
    std::vector<Json> none;
    EXPECT_TRUE(journal.open(path_, 0, &none).ok());
    std::vector<int64_t> offsets;
    for (int i = 0; i < n; ++i) {
      EXPECT_TRUE(journal.append({{"i", i}, {"x", 0.1f * static_cast<float>(i)}}).ok());
      offsets.push_back(journal.offset());
    }
    EXPECT_TRUE(journal.sync().ok());
    return offsets;
  }

  std::string path_ = ::testing::TempDir() + "journal_test.journal";
};

TEST_F(JournalTest, ReopensAtAnEarlierOffsetAndCutsTheRest) {
  const auto offsets = write(5);
  Journal journal;
  std::vector<Json> records;
  ASSERT_TRUE(journal.open(path_, offsets[2], &records).ok());
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[2]["x"].get<float>(), 0.1f * 2.0f);
  ASSERT_TRUE(journal.append({{"i", 77}}).ok());
  journal.close();
  const auto all = parse_journal(read_file(path_).value(), path_);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 4u);
  EXPECT_EQ((*all)[3]["i"], 77);
}

TEST_F(JournalTest, EveryFlippedByteIsFound) {
  const auto offsets = write(3);
  const std::string good = read_file(path_).value();
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_FALSE(parse_journal(bad, path_).ok()) << "byte " << i;
  }
}

TEST_F(JournalTest, ACutFileIsCorruptAndLeftAlone) {
  const auto offsets = write(3);
  std::filesystem::resize_file(path_, offsets[2] - 1);
  Journal journal;
  std::vector<Json> records;
  EXPECT_EQ(journal.open(path_, offsets[2], &records).code(), StatusCode::corrupt);
  EXPECT_EQ(static_cast<int64_t>(std::filesystem::file_size(path_)), offsets[2] - 1);
}

}  // namespace
}  // namespace longshot::replay
