#include "replay/records.h"

#include <gtest/gtest.h>

namespace longshot::replay {
namespace {

std::string three_records() {
  std::string bytes;
  for (int i = 0; i < 3; ++i)
    bytes += record_bytes({{"i", i}, {"x", 0.1f * static_cast<float>(i)}});
  return bytes;
}

TEST(Records, ComeBackAsTheyWere) {
  const auto records = parse_records(three_records(), "here");
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 3u);
  EXPECT_EQ((*records)[2]["x"].get<float>(), 0.1f * 2.0f);
}

TEST(Records, EveryFlippedByteIsFound) {
  const std::string good = three_records();
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    EXPECT_FALSE(parse_records(bad, "here").ok()) << "byte " << i;
  }
}

TEST(Records, CutInsideARecordIsCorrupt) {
  const std::string good = three_records();
  EXPECT_EQ(parse_records(good.substr(0, good.size() - 1), "here").status().code(),
            StatusCode::corrupt);
}

}  // namespace
}  // namespace longshot::replay
