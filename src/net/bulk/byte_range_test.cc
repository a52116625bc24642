#include "net/bulk/byte_range.h"

#include <gtest/gtest.h>

namespace longshot::net {
namespace {

TEST(ByteRange, HeadersAreReadAsTheStandardSays) {
  struct Case {
    const char* header;
    RangeKind kind;
    ByteRange range;
  };
  const Case cases[] = {
      {"", RangeKind::whole, {0, 100}},
      {"bytes=0-0", RangeKind::part, {0, 1}},
      {"bytes=5-9", RangeKind::part, {5, 10}},
      {"bytes=90-200", RangeKind::part, {90, 100}},
      {"bytes=99-", RangeKind::part, {99, 100}},
      {"bytes=-7", RangeKind::part, {93, 100}},
      {"bytes=-700", RangeKind::part, {0, 100}},
      {"bytes=-0", RangeKind::unsatisfiable, {0, 100}},
      {"bytes=100-", RangeKind::unsatisfiable, {0, 100}},
      {"bytes=9-5", RangeKind::whole, {0, 100}},
      {"bytes=0-1,5-6", RangeKind::whole, {0, 100}},
      {"bytes=a-b", RangeKind::whole, {0, 100}},
      {"bytes=-", RangeKind::whole, {0, 100}},
      {"bytes=5", RangeKind::whole, {0, 100}},
      {"bytes=99999999999999999999-", RangeKind::whole, {0, 100}},
      {"lines=0-1", RangeKind::whole, {0, 100}},
  };
  for (const Case& c : cases) {
    const WantedRange wanted = wanted_range(c.header, 100);
    EXPECT_EQ(wanted.kind, c.kind) << c.header;
    EXPECT_EQ(wanted.range, c.range) << c.header;
  }
  EXPECT_EQ(wanted_range("bytes=0-", 0).kind, RangeKind::unsatisfiable);
}

TEST(ByteRange, WhatIsWrittenIsRead) {
  EXPECT_EQ(wanted_range(range_header({3, 77}), 100).range, (ByteRange{3, 77}));
  const auto range = read_content_range("bytes 3-76/100");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->range, (ByteRange{3, 77}));
  EXPECT_EQ(range->total, 100u);
  for (const char* wrong : {"", "bytes 3-76", "bytes */100", "bytes 7-3/100", "bytes 3-100/100",
                            "items 3-76/100", "bytes /3-76", "bytes 3-76/*"})
    EXPECT_FALSE(read_content_range(wrong)) << wrong;
}

TEST(ByteRange, RepliesLendTheRange) {
  const auto owner = std::make_shared<std::string>("0123456789");
  const Reply whole = range_reply(*owner, owner, "", "text/plain");
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.lent.bytes, "0123456789");
  const Reply part = range_reply(*owner, owner, "bytes=2-4", "text/plain");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.lent.bytes.data(), owner->data() + 2);
  EXPECT_EQ(part.lent.bytes, "234");
  EXPECT_EQ(part.headers.back().second, "bytes 2-4/10");
  const Reply none = range_reply(*owner, owner, "bytes=10-", "text/plain");
  EXPECT_EQ(none.status, 416);
  EXPECT_EQ(none.lent.owner, nullptr);
  EXPECT_EQ(none.headers.back().second, "bytes */10");
}

}  // namespace
}  // namespace longshot::net
