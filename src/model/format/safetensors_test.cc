#include "model/format/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "model/format/float_convert.h"
#include "model/format/testing.h"

namespace longshot::model {
namespace {

using ::testing::HasSubstr;

class SafetensorsTest : public ::testing::Test {
 protected:
  std::string file(const std::string& header, const std::string& data) {
    return raw(header.size(), header + data);
  }
  std::string raw(uint64_t length, const std::string& rest) {
    std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
    bytes += rest;
    const std::string path = directory_ / "x.safetensors";
    write_scratch(path, bytes);
    return path;
  }
  std::string error_of(const std::string& path) {
    const auto opened = SafetensorsFile::open(path);
    EXPECT_FALSE(opened.ok());
    return opened.ok() ? "" : opened.status().message();
  }

  TemporaryDirectory directory_;
};

TEST_F(SafetensorsTest, ReadsAHandMadeFile) {
  const float values[] = {1.5f, -2.0f};
  const std::string path = file(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},"e":{"dtype":"F16","shape":[0,7],"data_offsets":[8,8]}})",
      std::string(reinterpret_cast<const char*>(values), 8) + "xyz");
  const auto opened = SafetensorsFile::open(path);
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  EXPECT_EQ(opened->entries().size(), 3u);
  EXPECT_EQ(opened->metadata().at("format"), "pt");
  EXPECT_EQ(opened->find("b")->bytes, "xyz");
  EXPECT_EQ(opened->find("e")->elements(), 0);
  EXPECT_EQ(opened->find("missing"), nullptr);
  float out[2];
  ASSERT_TRUE(copy_as_f32(*opened->find("a"), out).ok());
  EXPECT_EQ(out[0], 1.5f);
  EXPECT_EQ(out[1], -2.0f);
  EXPECT_FALSE(copy_as_f32(*opened->find("b"), out).ok());
}

TEST_F(SafetensorsTest, WritesWhatItReads) {
  const std::vector<float> floats = {1, 2, 3, 4, 5, 6};
  const std::vector<int64_t> longs = {-1, 1ll << 60};
  const std::vector<uint8_t> bytes = {7, 8, 9};
  const std::string path = directory_ / "w.safetensors";
  ASSERT_TRUE(write_safetensors(path,
                                {{"bytes", Dtype::u8, {3}, bytes.data()},
                                 {"floats", Dtype::f32, {2, 3}, floats.data()},
                                 {"longs", Dtype::i64, {2}, longs.data()},
                                 {"half", Dtype::f16, {6}, floats.data()},
                                 {"brain", Dtype::bf16, {3, 2}, floats.data()}},
                                {{"step", "12"}})
                  .ok());
  const auto opened = SafetensorsFile::open(path);
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  EXPECT_EQ(opened->metadata().at("step"), "12");
  EXPECT_EQ(opened->metadata().at("format"), "pt");
  for (const auto& [name, entry] : opened->entries()) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(entry.bytes.data()) % dtype_size(entry.dtype), 0u)
        << name;
  }
  EXPECT_EQ(std::memcmp(opened->find("longs")->bytes.data(), longs.data(), 16), 0);
  EXPECT_EQ(opened->find("bytes")->bytes, std::string_view("\x07\x08\x09"));
  for (const char* name : {"floats", "half", "brain"}) {
    std::vector<float> back(6);
    ASSERT_TRUE(copy_as_f32(*opened->find(name), back.data()).ok());
    EXPECT_EQ(back, floats) << name;
  }
}

TEST_F(SafetensorsTest, RefusesAValueTooLargeForTheType) {
  const float values[] = {1, 70000};
  const Status status =
      write_safetensors(directory_ / "w.safetensors", {{"big", Dtype::f16, {2}, values}});
  EXPECT_THAT(status.message(), ::testing::AllOf(HasSubstr("big"), HasSubstr("70000")));
  const float infinite[] = {std::numeric_limits<float>::infinity(), std::nanf("")};
  EXPECT_TRUE(
      write_safetensors(directory_ / "w.safetensors", {{"inf", Dtype::f16, {2}, infinite}}).ok());
}

TEST_F(SafetensorsTest, RefusesHostileHeaders) {
  const auto one = [&](const std::string& entry, size_t data = 8) {
    return error_of(file("{\"a\":" + entry + "}", std::string(data, 'x')));
  };
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,16]})"), HasSubstr("cut short"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"),
              HasSubstr("needs 12 bytes"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"),
              HasSubstr("after the last"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), HasSubstr("gap"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"),
              HasSubstr("bytes 8 to 0"));
  EXPECT_THAT(one(R"({"dtype":"F33","shape":[2],"data_offsets":[0,8]})"), HasSubstr("F33"));
  EXPECT_THAT(one(R"({"shape":[2],"data_offsets":[0,8]})"), HasSubstr("dtype"));
  EXPECT_THAT(one(R"({"dtype":"F32","data_offsets":[0,8]})"), HasSubstr("shape"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), HasSubstr("shape"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"), HasSubstr("shape"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"), HasSubstr("data_offsets"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})", 0),
              HasSubstr("too large"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[1e999],"data_offsets":[0,8]})"),
              HasSubstr("no valid shape"));
  EXPECT_THAT(one("[1,2]"), HasSubstr("dtype"));
  EXPECT_THAT(error_of(file("{\"__metadata__\":3}", "")), HasSubstr("__metadata__"));
  EXPECT_THAT(error_of(file("{\"__metadata__\":{\"a\":1}}", "")), HasSubstr("__metadata__"));
  EXPECT_THAT(error_of(file("[]", "")), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_of(file("{} {}", "")), HasSubstr("not valid JSON"));
}

TEST_F(SafetensorsTest, RefusesOverlapsAndDuplicates) {
  EXPECT_THAT(error_of(file(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                            R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                            std::string(12, 'x'))),
              HasSubstr("overlaps"));
  EXPECT_THAT(error_of(file(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                            R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                            std::string(4, 'x'))),
              HasSubstr("twice"));
}

TEST_F(SafetensorsTest, RefusesBadHeaderLengthsAndDeepNesting) {
  EXPECT_THAT(error_of(raw(~uint64_t{0}, "{}")), HasSubstr("header of"));
  EXPECT_THAT(error_of(raw(3, "{}")), HasSubstr("header of"));
  EXPECT_THAT(error_of(raw(200'000'000, std::string(100, ' '))), HasSubstr("header of"));
  EXPECT_THAT(error_of(file(std::string(5'000'000, '['), "")), HasSubstr("nests deeper"));
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  EXPECT_THAT(error_of(file(deep, "")), HasSubstr("nests deeper"));
  const std::string empty = directory_ / "empty";
  write_scratch(empty, "");
  EXPECT_THAT(error_of(empty), HasSubstr("too short"));
  EXPECT_EQ(SafetensorsFile::open(directory_ / "none").status().code(), StatusCode::not_found);
}

TEST_F(SafetensorsTest, RefusesEveryTruncation) {
  const ModelConfig config = tiny_config("qwen3");
  const auto weights = random_weights(config, 1);
  ASSERT_TRUE(write_model(directory_.path(), view_of(config, weights), nullptr, nullptr).ok());
  const std::string whole = read_file(directory_ / "model.safetensors").value();
  const std::string path = directory_ / "cut";
  for (size_t size = 0; size < whole.size(); size += size < 4000 ? 1 : 37) {
    write_scratch(path, std::string_view(whole).substr(0, size));
    ASSERT_FALSE(SafetensorsFile::open(path).ok()) << size;
  }
}

TEST(FloatConvertTest, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t h = 0; h < 65536; ++h) {
    const auto half = static_cast<uint16_t>(h);
    const float f = f16_to_f32(half), b = bf16_to_f32(half);
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(f))));
    } else {
      ASSERT_EQ(f32_to_f16(f), half);
      const int exponent = h >> 10 & 31, mantissa = h & 1023;
      const double magnitude = exponent == 31  ? std::numeric_limits<double>::infinity()
                               : exponent == 0 ? std::ldexp(mantissa, -24)
                                               : std::ldexp(1024 + mantissa, exponent - 25);
      ASSERT_EQ(f, static_cast<float>(h & 0x8000 ? -magnitude : magnitude));
    }
    if (std::isnan(b)) {
      EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(b))));
    } else {
      ASSERT_EQ(f32_to_bf16(b), half);
    }
  }
}

// Rounds by searching the two neighbours; takes the even one on a tie.
uint16_t nearest_even(float value, float (*widen)(uint16_t)) {
  uint32_t low = 0;
  for (uint32_t step = 0x4000; step > 0; step /= 2) {
    if (widen(static_cast<uint16_t>(low + step)) <= value) low += step;
  }
  const double below = widen(static_cast<uint16_t>(low)),
               above = widen(static_cast<uint16_t>(low + 1));
  const double down = value - below, up = above - value;
  if (down == up) return static_cast<uint16_t>(low + (low & 1));
  return static_cast<uint16_t>(down < up ? low : low + 1);
}

TEST(FloatConvertTest, RoundsToNearestEven) {
  CounterRng rng(7);
  for (int i = 0; i < 200000; ++i) {
    // All magnitudes below f16's largest. Halfway cases are made frequent by clearing low bits.
    uint32_t bits = static_cast<uint32_t>(rng.next_below(0x477fe000));
    if (i % 2 == 0) bits &= 0xfffff000u;
    const float value = std::bit_cast<float>(bits);
    ASSERT_EQ(f32_to_f16(value), nearest_even(value, [](uint16_t h) { return f16_to_f32(h); }))
        << value;
    const float coarse = std::bit_cast<float>(i % 2 == 0 ? bits & 0xffff8000u : bits);
    ASSERT_EQ(f32_to_bf16(coarse), nearest_even(coarse, [](uint16_t h) { return bf16_to_f32(h); }))
        << coarse;
    ASSERT_EQ(f32_to_f16(-value), f32_to_f16(value) | 0x8000);
  }
}

}  // namespace
}  // namespace longshot::model
