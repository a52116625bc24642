#include "curate/select/response_filter.h"

#include <gtest/gtest.h>

#include "curate/select/testing.h"

namespace longshot::curate {
namespace {

std::string reason(const JudgedSample& sample, const ResponseFilter& filter = {}) {
  const auto dropped = reason_to_drop(sample, filter);
  return dropped ? name_of(*dropped) : "";
}

TEST(ResponseFilter, DropsWhatDidNotEndByItself) {
  JudgedSample sample = judged(true, 4, "text");
  EXPECT_EQ(reason(sample), "");
  sample.finish = "length";
  EXPECT_EQ(reason(sample), "cut");
  EXPECT_EQ(reason(sample, {.keep_cut = true}), "");
  sample.finish = "repetition";
  EXPECT_EQ(reason(sample, {.keep_cut = true}), "loop");
}

TEST(ResponseFilter, LimitsLengthInTokensAndCharacters) {
  const JudgedSample sample = judged(true, 4, "\xE6\xB1\x82\xE8\xA7\xA3");  // two characters
  EXPECT_EQ(reason(sample, {.min_tokens = 5}), "too_short");
  EXPECT_EQ(reason(sample, {.min_tokens = 4, .max_tokens = 4}), "");
  EXPECT_EQ(reason(sample, {.max_tokens = 3}), "too_long");
  EXPECT_EQ(reason(sample, {.min_chars = 3}), "too_short");
  EXPECT_EQ(reason(sample, {.min_chars = 2, .max_chars = 2}), "");
  EXPECT_EQ(reason(sample, {.max_chars = 1}), "too_long");
  JudgedSample unknown = sample;
  unknown.tokens = 0;
  EXPECT_EQ(reason(unknown, {.min_tokens = 5, .max_tokens = 3}), "");
}

TEST(ResponseFilter, NeedsMarksByKindOrByNumberOfKinds) {
  const JudgedSample sample = judged(true, 9, "Wait, let me check. Let me check again.");
  EXPECT_EQ(reason(sample, {.min_marks = {0, 2, 1, 0}}), "");
  EXPECT_EQ(reason(sample, {.min_marks = {0, 3, 0, 0}}), "few_marks");
  EXPECT_EQ(reason(sample, {.min_mark_kinds = 2}), "");
  EXPECT_EQ(reason(sample, {.min_mark_kinds = 3}), "few_marks");
}

TEST(Repetition, IsTheShareOfRepeatedGrams) {
  std::string distinct, loop;
  for (int i = 0; i < 100; ++i) distinct += "w" + std::to_string(i) + " ";
  for (int i = 0; i < 25; ++i) loop += "over and over again ";
  EXPECT_EQ(repetition(distinct), 0);
  EXPECT_NEAR(repetition(loop), 89.0 / 93, 1e-12);  // 93 grams, of which 4 are different
  EXPECT_NEAR(repetition(distinct + distinct), 93.0 / 193, 1e-12);
  EXPECT_EQ(repetition("over and over and over and over and over"), 0) << "too short to tell";
  std::string chinese;
  for (int i = 0; i < 50; ++i) chinese += "\xE6\xB1\x82\xE8\xA7\xA3";
  EXPECT_GT(repetition(chinese), 0.9);
  EXPECT_EQ(reason(judged(true, 9, loop)), "repetitive");
  EXPECT_EQ(reason(judged(true, 9, loop), {.max_repetition = 1}), "");
}

TEST(WithoutSpacing, JoinsRunsOfWhiteSpace) {
  EXPECT_EQ(without_spacing("  a \n\t b\n"), "a b");
  EXPECT_EQ(without_spacing(" \n"), "");
}

}  // namespace
}  // namespace longshot::curate
