#include "publish/engine/growing_version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "publish/engine/testing.h"

namespace longshot::publish {
namespace {

using testing::HasSubstr;

TEST(Pieces, AreWrittenAndReadForAnyNumberOfChunks) {
  CounterRng rng(1);
  for (size_t count = 0; count < 20; ++count) {
    Pieces pieces;
    for (size_t i = 0; i < count; ++i) pieces.chunks.push_back(rng.next_below(2) == 1);
    const auto read = parse_pieces(to_json(pieces), count, "peer");
    ASSERT_TRUE(read.ok()) << read.status().to_string();
    EXPECT_FALSE(read->complete);
    EXPECT_EQ(read->chunks, pieces.chunks);
  }
  EXPECT_EQ(to_json(Pieces{.chunks = {true, false, true, true, true}}),
            R"({"complete":false,"chunks":"b8"})");
  EXPECT_TRUE(parse_pieces(to_json(Pieces{.complete = true}), 5, "peer")->complete);
}

TEST(Pieces, WrongOnesAreErrorsThatNameThePeer) {
  for (const char* text : {R"({"complete":false,"chunks":"b"})", "x", "{}",
                           R"({"complete":false,"chunks":"zz"})", R"({"complete":false})"}) {
    const auto read = parse_pieces(text, 5, "peer h:1");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_THAT(read.status().message(), HasSubstr("peer h:1"));
  }
}

TEST(Pieces, ARangeIsThereIfAllItsChunksAre) {
  const Pieces some{.chunks = {true, true, false, true}};
  EXPECT_TRUE(some.have(0, 2));
  EXPECT_FALSE(some.have(1, 3));
  EXPECT_TRUE(some.have(3, 4));
  EXPECT_FALSE(some.have(3, 5));
  EXPECT_FALSE(Pieces{}.have(0, 1));
  EXPECT_TRUE((Pieces{.complete = true}).have(0, 100));
}

// A header, two chunks of a tensor, and a tensor of one chunk.
TEST(GrowingVersion, HasTheBytesOfItsChunks) {
  const MemoryFolder folder;
  const auto store = store_in(folder.path());
  const RandomVersion version = random_version(3, {1'100'000, 1000}, 1);
  auto writer = store->write(Deadline::after_seconds(5)).value();
  ASSERT_TRUE(writer.reserve(id_of(version.manifest), version.data.size()).ok());
  EXPECT_EQ(store->growing(), nullptr);
  const auto growing = writer.show(version.manifest).value();
  EXPECT_EQ(store->growing(), growing);
  const std::vector<Chunk> chunks = chunks_of(version.manifest);
  ASSERT_EQ(chunks.size(), 4u);
  const Chunk& second = chunks[2];
  ASSERT_TRUE(
      writer.write_at(second.begin, version.data.substr(second.begin, second.end - second.begin))
          .ok());
  EXPECT_FALSE(growing->has({second.begin, second.begin + 1}));
  growing->add(2);
  EXPECT_TRUE(growing->has({second.begin, second.end}));
  EXPECT_TRUE(growing->has({second.end - 1, second.end}));
  EXPECT_FALSE(growing->has({second.begin - 1, second.end}));
  EXPECT_FALSE(growing->has({second.begin, second.end + 1}));
  EXPECT_EQ(growing->pieces().chunks, (std::vector<bool>{false, false, true, false}));
  EXPECT_EQ(growing->bytes().substr(second.begin, 100), version.data.substr(second.begin, 100));
  for (const size_t chunk : {0, 1, 3}) growing->add(chunk);
  EXPECT_TRUE(growing->has({0, version.data.size()}));
  EXPECT_FALSE(growing->has({0, version.data.size() + 1}));
}

}  // namespace
}  // namespace longshot::publish
