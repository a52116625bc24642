#include "tokenizer/token_table.h"

#include <gtest/gtest.h>

namespace longshot::tokenizer {
namespace {

const Tokenizer& letters() {
  static const auto tokenizer = make_character_tokenizer("ab\n").value();  // ids from 3 on
  return *tokenizer;
}

TEST(TokenTable, ALineHasIdFigureTextAndRemark) {
  EXPECT_EQ(token_table_head("trained"), "      id    trained  text\n");
  EXPECT_EQ(token_table_row(letters(), 3, "yes"), "       3        yes  \"a\"\n");
  EXPECT_EQ(token_table_row(letters(), 5, ""), "       5             \"\\n\"\n");
  EXPECT_EQ(token_table_row(letters(), 1, "", "end token"),
            "       1             \"<eos>\"  end token\n");
}

TEST(TokenTable, EachRunOfMarkedTokensIsBetweenMarks) {
  const std::vector<TokenId> ids = {3, 4, 4, 3, 1};
  const auto marked = [&](std::vector<uint8_t> mask) { return marked_text(letters(), ids, mask); };
  EXPECT_EQ(marked({0, 0, 0, 0, 0}), "abba<eos>");
  EXPECT_EQ(marked({0, 1, 1, 0, 1}), "a«bb»a«<eos>»");
  EXPECT_EQ(marked({1, 1, 1, 1, 1}), "«abba<eos>»");
  EXPECT_EQ(marked_text(letters(), {}, {}), "");
}

}  // namespace
}  // namespace longshot::tokenizer
