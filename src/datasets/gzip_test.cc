#include "datasets/gzip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <istream>
#include <sstream>

#include "base/rng.h"
#include "datasets/gzip_testing.h"

namespace longshot::datasets {
namespace {

using testing::HasSubstr;

// What a decoder makes of data that come in blocks, with room for `room` bytes at a time.
std::string unpacked(std::string_view packed, size_t block, size_t room, GzipDecoder& decoder) {
  std::string text, out(room, '\0');
  while (!packed.empty()) {
    std::string_view front = packed.substr(0, block);
    packed.remove_prefix(front.size());
    for (size_t n = room; n == room;) {
      n = decoder.unpack(front, out);
      text.append(out, 0, n);
    }
    if (!decoder.status().ok()) break;
  }
  decoder.finish();
  return text;
}

std::string text_of(std::string_view packed, size_t block = 100, size_t room = 100) {
  GzipDecoder decoder;
  std::string text = unpacked(packed, block, room, decoder);
  EXPECT_TRUE(decoder.status().ok()) << decoder.status().to_string();
  return text;
}

std::string error_of(std::string_view packed) {
  GzipDecoder decoder;
  unpacked(packed, 7, 5, decoder);
  return decoder.status().message();
}

// Compressible and not.
std::string long_text() {
  CounterRng rng(1);
  std::string text(200000, 'a');
  for (size_t i = 0; i < text.size(); i += i < 100000 ? 50 : 1)
    text[i] = static_cast<char>(rng.next_below(256));
  return text;
}

TEST(Gzip, BlocksMayHaveAnySize) {
  const std::string packed = gzipped("one\ntwo\n") + gzipped("") + gzipped("three\n");
  for (size_t block = 1; block < packed.size(); ++block) {
    for (const size_t room : {1, 2, 3, 100})
      ASSERT_EQ(text_of(packed, block, room), "one\ntwo\nthree\n") << block << " " << room;
  }
  const std::string text = long_text();
  EXPECT_EQ(text_of(gzipped(text), 65536, 65536), text);
  EXPECT_EQ(text_of(gzipped(text), 1000, 77), text);
}

TEST(Gzip, EmptyMembersAndZerosBehindThemAreAllowed) {
  EXPECT_EQ(text_of(gzipped("")), "");
  EXPECT_EQ(text_of(gzipped("a") + std::string(700, '\0')), "a");
  EXPECT_EQ(text_of(gzipped("a") + std::string(70, '\0') + gzipped("b")), "ab");
}

TEST(Gzip, EveryCutIsNoticedExceptBetweenMembers) {
  const std::string first = gzipped("one\n"), packed = first + gzipped("two\n");
  for (size_t size = 0; size < packed.size(); ++size) {
    if (size == first.size()) continue;
    ASSERT_THAT(error_of(packed.substr(0, size)), HasSubstr("end too early")) << size;
  }
  EXPECT_EQ(error_of(first), "");
}

TEST(Gzip, DamageIsNoticed) {
  const std::string text = "one two three four\n", packed = gzipped(text);
  int errors = 0;
  for (size_t at = 10; at < packed.size(); ++at) {  // before it are the time and the system
    std::string damaged = packed;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    GzipDecoder decoder;
    const std::string found = unpacked(damaged, 7, 5, decoder);
    errors += decoder.status().ok() ? 0 : 1;
    // The last byte of the content has bits without a meaning.
    ASSERT_TRUE(!decoder.status().ok() || found == text) << at;
  }
  EXPECT_GE(errors, static_cast<int>(packed.size()) - 11);
  EXPECT_THAT(error_of(packed + "{\"a\":1}"), HasSubstr("other bytes follow them"));
  EXPECT_THAT(error_of("\x1fno gzip at all"), HasSubstr("incorrect header check"));
}

TEST(Gzip, ABufferSeeksInItsContent) {
  const std::string text = long_text();
  std::stringbuf packed(gzipped(text.substr(0, 70000)) + gzipped(text.substr(70000)));
  GzipBuffer buffer(packed);
  std::istream in(&buffer);
  CounterRng rng(2);
  for (int round = 0; round < 60; ++round) {
    const size_t at = round == 0 ? 0 : rng.next_below(text.size() - 10);
    std::string found(10, '\0');
    in.seekg(static_cast<std::streamoff>(at));
    in.read(found.data(), 10);
    ASSERT_TRUE(in.good());
    ASSERT_EQ(found, text.substr(at, 10)) << at;
  }
  in.seekg(static_cast<std::streamoff>(text.size()));
  EXPECT_TRUE(in.good());
  EXPECT_EQ(in.peek(), std::istream::traits_type::eof());
  EXPECT_TRUE(buffer.status().ok());
  in.clear();
  in.seekg(static_cast<std::streamoff>(text.size() + 1));
  EXPECT_TRUE(in.fail());
}

// The content before the damage is given first.
TEST(Gzip, ABufferIsBadWhereItsContentEnds) {
  std::string packed = gzipped("one\ntwo\n");
  packed[packed.size() - 5] ^= 1;  // of the checksum
  std::stringbuf bytes(packed);
  GzipBuffer buffer(bytes);
  std::istream in(&buffer);
  std::string line;
  ASSERT_TRUE(std::getline(in, line));
  EXPECT_EQ(line, "one");
  EXPECT_TRUE(buffer.status().ok());
  ASSERT_TRUE(std::getline(in, line));
  EXPECT_FALSE(std::getline(in, line));
  EXPECT_THAT(buffer.status().message(), HasSubstr("incorrect data check"));
}

}  // namespace
}  // namespace longshot::datasets
