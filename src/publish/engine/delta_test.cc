#include "publish/engine/delta.h"

#include <gtest/gtest.h>

#include "publish/engine/testing.h"

namespace longshot::publish {
namespace {

std::vector<uint16_t> random_words(size_t count, CounterRng& rng) {
  std::vector<uint16_t> words(count);
  for (uint16_t& word : words) word = static_cast<uint16_t>(rng.next_u64());
  return words;
}

std::vector<uint16_t> changed(std::vector<uint16_t> words, double share, CounterRng& rng) {
  for (uint16_t& word : words)
    if (rng.next_double() < share) word ^= 1;
  return words;
}

Result<std::vector<uint16_t>> applied(std::span<const uint16_t> base, std::string_view delta) {
  std::vector<uint16_t> words;
  const Status status = apply_delta(base, delta, [&](std::span<const uint16_t> block) {
    words.insert(words.end(), block.begin(), block.end());
    return ok_status();
  });
  if (!status.ok()) return status;
  return words;
}

TEST(Delta, AChainOfTwentyIsBitEqualAndSmall) {
  CounterRng rng(1);
  const std::vector<uint16_t> first = random_words(300'001, rng);
  std::vector<uint16_t> held = first, truth = first;
  for (int i = 0; i < 20; ++i) {
    const auto next = changed(truth, 0.05, rng);
    size_t count = 0;
    for (size_t k = 0; k < next.size(); ++k) count += next[k] != truth[k];
    const auto delta = encode_delta(truth, next, next.size() / 3);
    ASSERT_TRUE(delta);
    EXPECT_LE(delta->size(), 6 * count);
    held = applied(held, *delta).value();
    truth = next;
    ASSERT_EQ(held, truth) << "after delta " << i;
  }
}

TEST(Delta, EdgesOfBlocksAndSizes) {
  CounterRng rng(2);
  for (const size_t count :
       {size_t{0}, size_t{1}, size_t{65'535}, size_t{65'536}, size_t{65'537}}) {
    const auto base = random_words(count, rng);
    for (const double share : {0.0, 0.3, 1.0}) {
      const auto target = changed(base, share, rng);
      const auto delta = encode_delta(base, target, count);
      ASSERT_TRUE(delta);
      EXPECT_EQ(applied(base, *delta).value(), target);
    }
  }
}

TEST(Delta, TooManyChangesGiveNone) {
  CounterRng rng(3);
  const auto base = random_words(10'000, rng);
  EXPECT_FALSE(encode_delta(base, changed(base, 0.5, rng), base.size() / 3));
  EXPECT_TRUE(encode_delta(base, changed(base, 0.2, rng), base.size() / 3));
}

TEST(Delta, DamagedOnesAreErrorsOrOtherWordsNeverACrash) {
  CounterRng rng(4);
  const auto base = random_words(70'000, rng);
  const std::string good = *encode_delta(base, changed(base, 0.01, rng), base.size());
  int refused = 0;
  for (int i = 0; i < 500; ++i) {
    std::string bad = good;
    bad[rng.next_below(i % 2 == 0 ? 32 : bad.size())] ^= static_cast<char>(1 + rng.next_below(255));
    if (i % 5 == 0) bad.resize(rng.next_below(bad.size()));
    const auto words = applied(base, bad);
    refused += !words.ok();
    EXPECT_TRUE(words.ok() || words.status().code() == StatusCode::corrupt);
  }
  EXPECT_GT(refused, 200);
  EXPECT_FALSE(applied(std::span(base).first(100), good).ok());
}

TEST(Delta, OnlyBetweenVersionsOfBf16WithOneLayout) {
  Manifest base;
  base.tensors.push_back({"a", model::Dtype::bf16, {4}, 0, 0, 0, {}});
  lay_out(base);
  EXPECT_TRUE(delta_is_possible(base, base));
  Manifest other = base;
  other.tensors[0].shape = {2, 2};
  EXPECT_FALSE(delta_is_possible(base, other));
  other.tensors[0] = {"a", model::Dtype::f32, {4}, 0, 0, 0, {}};
  lay_out(other);
  EXPECT_FALSE(delta_is_possible(other, other));
}

}  // namespace
}  // namespace longshot::publish
