#include "publish/engine/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "publish/engine/testing.h"

namespace longshot::publish {
namespace {

using testing::HasSubstr;

std::vector<int64_t> random_sizes(CounterRng& rng) {
  std::vector<int64_t> sizes;
  for (int64_t i = rng.next_int(1, 6); i > 0; --i)
    sizes.push_back(rng.next_below(4) == 0 ? rng.next_int(0, 3'000'000) : rng.next_int(0, 500));
  return sizes;
}

TEST(Manifest, RandomOnesSurviveTheTextAndCoverTheFile) {
  CounterRng rng(1);
  for (int i = 0; i < 30; ++i) {
    const RandomVersion version = random_version(i, random_sizes(rng), rng.next_u64());
    const std::string text = to_json(version.manifest);
    const auto read = parse_manifest(text, "test");
    ASSERT_TRUE(read.ok()) << read.status().to_string();
    EXPECT_EQ(to_json(*read), text);
    EXPECT_EQ(fingerprint(*read), fingerprint(version.manifest));
    EXPECT_EQ(layout_difference(*read, version.manifest), "");
    uint64_t next = 0;
    for (const Chunk& chunk : chunks_of(*read)) {
      EXPECT_EQ(chunk.begin, next);
      EXPECT_LE(chunk.end - chunk.begin, chunk.tensor.empty() ? 1 << 20 : kChunkBytes);
      EXPECT_EQ(chunk.checksum,
                checksum(std::string_view(version.data).substr(next, chunk.end - next)));
      next = chunk.end;
    }
    EXPECT_EQ(next, version.data.size());
  }
}

TEST(Manifest, TheDataIsASafetensorsFile) {
  const model::TemporaryDirectory folder;
  const RandomVersion version = random_version(3, {7, 1'500'000, 8, 0}, 5);
  const std::string path = folder.path() + "/model.safetensors";
  model::write_scratch(path, version.data);
  const auto file = model::SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok()) << file.status().to_string();
  for (const ManifestTensor& tensor : version.manifest.tensors) {
    const auto* entry = file->find(tensor.name);
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->dtype, tensor.dtype);
    EXPECT_EQ(entry->shape, tensor.shape);
    EXPECT_EQ(checksum(entry->bytes), tensor.checksum);
  }
  EXPECT_EQ(version.manifest.header_bytes % 64, 0u);
}

TEST(Manifest, EveryWrongTextIsAnErrorThatNamesThePlace) {
  const std::string good = to_json(random_version(3, {7, 1'500'000}, 5).manifest);
  struct Case {
    const char *pointer, *value, *message;
  };
  const Case cases[] = {
      {"/format", "2", "format"},
      {"/run", "\"../x\"", "run"},
      {"/run", "\"..\"", "run"},
      {"/version", "-1", "version"},
      {"/version", "1.5", "version"},
      {"/epoch", "\"x\"", "epoch"},
      {"/header_bytes", "3", "header"},
      {"/header_xxh3", "\"12\"", "header_xxh3"},
      {"/total_bytes", "12", "total_bytes"},
      {"/tensors", "3", "tensors"},
      {"/tensors/0/dtype", "\"I8\"", "layer.0"},
      {"/tensors/0/shape", "[8]", "layer.0"},
      {"/tensors/0/shape", "[-7]", "layer.0"},
      {"/tensors/1/shape", "[4611686018427387904, 4]", "layer.1"},
      {"/tensors/1/offset", "0", "layer.1"},
      {"/tensors/1/bytes", "1", "layer.1"},
      {"/tensors/1/chunks", "[]", "layer.1"},
      {"/tensors/1/chunks/0", "\"zzzzzzzzzzzzzzzz\"", "layer.1"},
      {"/tensors/1/name", "\"layer.0\"", "layer.0"},
      {"/files/0/name", "\"a/b\"", "file"},
      {"/files/0/name", "\"tokenizer.json\"", "tokenizer.json"},
      {"/files/0/bytes", "99999999999", "config.json"},
  };
  for (const Case& c : cases) {
    Json json = Json::parse(good);
    json[Json::json_pointer(c.pointer)] = Json::parse(c.value);
    const auto read = parse_manifest(json.dump(), "peer");
    ASSERT_FALSE(read.ok()) << c.pointer << " = " << c.value;
    EXPECT_THAT(read.status().message(), HasSubstr("peer"));
    EXPECT_THAT(read.status().message(), HasSubstr(c.message));
  }
}

TEST(Manifest, DamagedTextsNeverCrash) {
  const std::string good = to_json(random_version(3, {7, 1'500'000, 9}, 5).manifest);
  CounterRng rng(7);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string text = good;
    text[rng.next_below(text.size())] = static_cast<char>(rng.next_below(128));
    if (rng.next_below(4) == 0) text.resize(rng.next_below(text.size()));
    refused += !parse_manifest(text, "test").ok();
  }
  EXPECT_GT(refused, 1000);
}

TEST(Manifest, TheFirstDifferenceOfLayoutsIsNamed) {
  const Manifest a = random_version(1, {7, 8}, 1).manifest;
  Manifest b = random_version(2, {7, 8}, 2).manifest;
  EXPECT_EQ(layout_difference(a, b), "");
  b.tensors[1].shape = {4, 2};
  EXPECT_THAT(layout_difference(a, b), HasSubstr("layer.1"));
}

}  // namespace
}  // namespace longshot::publish
