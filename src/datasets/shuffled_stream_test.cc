#include "datasets/shuffled_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

namespace longshot::datasets {
namespace {

using testing::HasSubstr;

constexpr int kRows = 100;

// Of the rows 0 to 99, every seventh is left out: 0, 7, ..., 98 are 15 rows.
class Shuffled : public testing::Test {
 protected:
  using Numbers = ShuffledStream<int>;

  Shuffled() : path_(testing::TempDir() + "longshot_shuffled_" + std::to_string(getpid())) {
    std::ofstream file(path_);
    for (int n = 0; n < kRows; ++n) file << "{\"n\": " << n << "}\n";
  }
  ~Shuffled() override { std::filesystem::remove(path_); }

  Numbers make(size_t capacity, uint64_t seed = 1) {
    return Numbers(RowStream::open({path_}, 60).value(), capacity, seed,
                   [this](const Row& row) -> Result<std::optional<int>> {
                     ++converted_;
                     const int n = row.json["n"].get<int>();
                     if (n == fails_at_) return invalid_argument(row.where + ": bad");
                     return n % 7 == 0 ? std::nullopt : std::optional<int>(n);
                   });
  }

  // Up to `count` items of the current epoch.
  static std::vector<int> take(Numbers& stream, int count = 1000) {
    std::vector<int> taken;
    while (count-- > 0) {
      const auto item = stream.peek();
      EXPECT_TRUE(item.ok()) << item.status().to_string();
      if (!item.ok() || *item == nullptr) break;
      taken.push_back(stream.take());
    }
    return taken;
  }

  std::string path_;
  int converted_ = 0;
  int fails_at_ = -1;
};

TEST_F(Shuffled, AnEpochHasEveryRowOnceAndEpochsDiffer) {
  for (const size_t capacity : {1, 10, 1000}) {
    Numbers stream = make(capacity);
    auto first = take(stream);
    EXPECT_EQ(stream.given(), 85);
    EXPECT_EQ(stream.dropped(), 15);
    stream.next_epoch();
    auto second = take(stream);
    EXPECT_NE(first, second);
    std::sort(first.begin(), first.end());
    std::sort(second.begin(), second.end());
    EXPECT_EQ(first, second);
    EXPECT_EQ(std::unique(first.begin(), first.end()) - first.begin(), 85);
    EXPECT_EQ(stream.epoch(), 1);
    EXPECT_EQ(stream.dropped(), 15);
  }
}

TEST_F(Shuffled, TheOrderDependsOnSeedAndCapacityOnly) {
  Numbers a = make(10), b = make(10), other_seed = make(10, 2), other_capacity = make(11);
  const auto order = take(a);
  EXPECT_EQ(take(b), order);
  EXPECT_NE(take(other_seed), order);
  EXPECT_NE(take(other_capacity), order);
}

TEST_F(Shuffled, MemoryHoldsOneBlock) {
  Numbers stream = make(10);
  EXPECT_EQ(converted_, 0);
  take(stream, 1);
  EXPECT_LE(converted_, 15);  // 10 rows and those left out between them
  EXPECT_EQ(stream.block()->size(), 9u);
}

TEST_F(Shuffled, ContinuesExactlyFromEveryPosition) {
  Numbers stream = make(10);
  const auto two_epochs = [](Numbers& s) {
    auto items = take(s);
    if (s.epoch() == 0) {
      s.next_epoch();
      const auto more = take(s);
      items.insert(items.end(), more.begin(), more.end());
    }
    return items;
  };
  Numbers whole = make(10);
  const auto all = two_epochs(whole);
  ASSERT_EQ(all.size(), 170u);
  for (size_t taken = 0; taken <= all.size(); ++taken) {
    const std::string position = dump_json(stream.position());
    Numbers again = make(10);
    converted_ = 0;
    ASSERT_TRUE(again.seek(*parse_json(position, "position"), "checkpoint").ok());
    EXPECT_LE(converted_, 15);  // one block is read again
    EXPECT_EQ(again.dropped(), stream.dropped()) << taken;
    EXPECT_EQ(again.given(), stream.given());
    ASSERT_EQ(two_epochs(again),
              std::vector<int>(all.begin() + static_cast<long>(taken), all.end()))
        << taken;
    EXPECT_EQ(again.dropped(), 15);
    if (take(stream, 1).empty() && stream.epoch() == 0) {
      stream.next_epoch();
      take(stream, 1);
    }
  }
}

// If whole-file shuffles were biased, some place would prefer some row.
TEST_F(Shuffled, ABufferOfAllRowsIsAUniformPermutation) {
  constexpr int kEpochs = 2000;
  Numbers stream = make(1000);
  std::vector<int> first(kRows);
  for (int epoch = 0; epoch < kEpochs; ++epoch, stream.next_epoch()) {
    const auto order = take(stream, 1);
    ++first[static_cast<size_t>(order[0])];
    take(stream);
  }
  const double expected = kEpochs / 85.0;
  double chi2 = 0;
  for (int n = 0; n < kRows; ++n)
    if (n % 7 != 0) chi2 += std::pow(first[static_cast<size_t>(n)] - expected, 2) / expected;
  EXPECT_LT(chi2, 140);  // 84 degrees of freedom; 0.01 % of uniform draws exceed 137
}

TEST_F(Shuffled, AnErrorStays) {
  fails_at_ = 50;
  Numbers stream = make(1000);
  for (int i = 0; i < 2; ++i) EXPECT_THAT(stream.peek().status().message(), HasSubstr("bad"));
  EXPECT_EQ(stream.position()["taken"], 0);
}

TEST_F(Shuffled, APositionOfAnotherBlockSizeIsAnError) {
  Numbers stream = make(50);
  take(stream, 40);
  EXPECT_THAT(make(10).seek(stream.position(), "checkpoint").message(),
              HasSubstr("data.shuffle_buffer was 50"));
  Json position = stream.position();
  position["taken"] = 1000;
  EXPECT_THAT(make(50).seek(position, "checkpoint").message(), HasSubstr("'taken'"));
}

}  // namespace
}  // namespace longshot::datasets
