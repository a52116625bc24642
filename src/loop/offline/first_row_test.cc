#include "loop/offline/first_row.h"

#include <gtest/gtest.h>

namespace longshot::loop {
namespace {

const tokenizer::Tokenizer& letters() {
  static const auto tokenizer = tokenizer::make_character_tokenizer("ab").value();  // ids 3, 4
  return *tokenizer;
}

TEST(FirstRow, MarksWhatIsTrainedOn) {
  const std::vector<data::TokenId> tokens = {3, 4, 1};
  const std::vector<uint8_t> trained = {0, 1, 1};
  const RowSequence row{"the first row", tokens, trained};
  const std::string text =
      "the first row as the model sees it (3 tokens; the 2 between « and » are trained on):\n"
      "a«b<eos>»";
  EXPECT_EQ(sequence_text(row, letters(), false), text);
  EXPECT_EQ(sequence_text(row, letters(), true), text +
                                                     "\ntokens of the first row:\n"
                                                     "      id    trained  text\n"
                                                     "       3             \"a\"\n"
                                                     "       4        yes  \"b\"\n"
                                                     "       1        yes  \"<eos>\"");
}

TEST(FirstRow, SaysWhereAScoreIsRead) {
  const std::vector<data::TokenId> tokens = {3, 1};
  EXPECT_EQ(sequence_text({"the first row (label 1)", tokens, {}}, letters(), true),
            "the first row (label 1) as the model sees it (2 tokens; the score is read at the last "
            "one):\na<eos>\n"
            "tokens of the first row (label 1):\n"
            "      id      score  text\n"
            "       3             \"a\"\n"
            "       1       here  \"<eos>\"");
}

}  // namespace
}  // namespace longshot::loop
