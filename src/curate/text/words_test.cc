#include "curate/text/words.h"

#include <gtest/gtest.h>

namespace longshot::curate {
namespace {

TEST(Words, IgnoreCaseSpaceAndPunctuation) {
  EXPECT_EQ(comparison_words("  Find the   Sum,\nof \"all\" (well-known) primes!  "),
            "find the sum of all well known primes");
  EXPECT_EQ(comparison_words("?!..."), "");
  EXPECT_EQ(comparison_words(""), "");
}

TEST(Words, KeepNumbersAndSigns) {
  EXPECT_EQ(comparison_words("3.5 + x_1 = -2."), "3.5 + x_1 = - 2");
  EXPECT_NE(comparison_words("a + b"), comparison_words("a - b"));
  EXPECT_NE(comparison_words("3.5"), comparison_words("35"));
  EXPECT_EQ(comparison_words("--- rule ---"), "rule");
  EXPECT_EQ(comparison_words("x-y"), "x - y") << "single letters: a difference, not a hyphen";
}

TEST(Words, OfLatexAreThoseOfThePlainForm) {
  EXPECT_EQ(comparison_words("$\\left(\\dfrac{1}{2}\\right) \\times \\text{cost}$"),
            comparison_words("\\frac 1 2 * cost"));
  EXPECT_EQ(comparison_words("$x \\leq 3$"), comparison_words("x ≤ 3"));
}

TEST(Words, OfUnicodeAreCompatible) {
  EXPECT_EQ(comparison_words("Ｃａｆé Ⅳ"), comparison_words("café iv"));
  EXPECT_EQ(comparison_words("a − b × c"), comparison_words("a - b * c"));
  EXPECT_EQ(comparison_words("求 x² 的值。"), "求 x2 的 值");
  EXPECT_EQ(comparison_words("ÉCOLE"), "école");
  EXPECT_EQ(comparison_words("bad \xff byte"), "bad byte");
}

TEST(Words, AreCounted) {
  EXPECT_EQ(count_words(""), 0U);
  EXPECT_EQ(count_words("one"), 1U);
  EXPECT_EQ(count_words("one two three"), 3U);
}

}  // namespace
}  // namespace longshot::curate
