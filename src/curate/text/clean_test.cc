#include "curate/text/clean.h"

#include <gtest/gtest.h>

namespace longshot::curate {
namespace {

TEST(Clean, TidiesSpacesAndLines) {
  EXPECT_EQ(clean_text("\xEF\xBB\xBF  a\u00A0b \t\r\n\r\n\r\n\u200Bc\r", TextForm::nfc),
            "a b\n\nc");
  EXPECT_EQ(clean_text(" \n\t\n", TextForm::nfc), "");
  EXPECT_EQ(clean_text("x  y", TextForm::nfc), "x  y") << "spaces inside a line may be layout";
}

TEST(Clean, KeepsMathematicsUnlessToldOtherwise) {
  EXPECT_EQ(clean_text("x² + e\u0301", TextForm::nfc), "x² + é");
  EXPECT_EQ(clean_text("x²", TextForm::nfkc), "x2");
  EXPECT_EQ(clean_text("e\u0301", TextForm::none), "e\u0301");
  EXPECT_EQ(clean_text("bad \xff byte", TextForm::none), "bad \uFFFD byte");
}

TEST(Clean, KeepsJoinersThatBelongToTheSpelling) {
  const std::string persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645";
  EXPECT_EQ(clean_text(persian, TextForm::nfc), persian);
  const std::string coder = "\U0001F469\u200d\U0001F4BB";
  EXPECT_EQ(clean_text(coder, TextForm::nfc), coder);
  EXPECT_EQ(clean_text("\u0645\u200b\u06cc\u200e\u062e\u200f\u0648", TextForm::nfc),
            "\u0645\u06cc\u062e\u0648");
  EXPECT_EQ(clean_text("a\u200c\u0645 \u0645\u200d b\u200bc", TextForm::nfc), "a\u0645 \u0645 bc");
}

TEST(Clean, UnwrapsLatexEnvironments) {
  EXPECT_EQ(clean_text("\\begin{problem}\nFind $x$.\n\\end{problem}", TextForm::nfc), "Find $x$.");
  const char* two = "\\begin{problem}a\\end{problem} \\begin{problem}b\\end{problem}";
  EXPECT_EQ(clean_text(two, TextForm::nfc), two);
}

TEST(Clean, UnwrapsAnswers) {
  const auto answer = [](const char* text) { return clean_answer(text, TextForm::nfc); };
  EXPECT_EQ(answer("3 + 4 = 7\nso\n#### 7"), "7");
  EXPECT_EQ(answer("Hence $x = \\boxed{\\frac{1}{2}}$."), "\\frac{1}{2}");
  EXPECT_EQ(answer("$\\frac12$"), "\\frac12");
  EXPECT_EQ(answer("\\(\\text{yes}\\)"), "yes");
  EXPECT_EQ(answer("$1$ and $2$"), "$1$ and $2$");
  EXPECT_EQ(answer("#1"), "#1");
  EXPECT_EQ(answer("\\boxed{1"), "\\boxed{1");
}

}  // namespace
}  // namespace longshot::curate
