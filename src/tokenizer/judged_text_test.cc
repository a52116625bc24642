#include "tokenizer/judged_text.h"

#include <gtest/gtest.h>

#include "tokenizer/testing.h"

namespace longshot::tokenizer {
namespace {

constexpr TokenId kEos = 1;  // the <eos> of a character tokenizer

std::string text_of(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  return tokenizer.decode(ids, false);
}

std::unique_ptr<Tokenizer> characters() {
  return *make_character_tokenizer("0123456789+=\n RWefrncaswuitxy:|<>_mdo");
}

TEST(JudgedText, PlainTextsFollowOneAnotherAndEnd) {
  const auto tokenizer = characters();
  const auto plain = *ChatTemplate::of_family("plain");
  const auto ids = encode_judged(*tokenizer, plain, {{{"user", "1+2="}}, "", "3"}, kEos);
  EXPECT_EQ(text_of(*tokenizer, *ids), "1+2=3<eos>");
  EXPECT_EQ(ids->back(), kEos);
  const auto alone = encode_judged(*tokenizer, plain, {{}, "", "3"}, kEos);
  EXPECT_EQ(text_of(*tokenizer, *alone), "3<eos>");
}

TEST(JudgedText, AReferenceStandsBehindTheQuestion) {
  const auto tokenizer = characters();
  const auto plain = *ChatTemplate::of_family("plain");
  const auto ids = encode_judged(*tokenizer, plain, {{{"user", "1+2="}}, "3", "4"}, kEos);
  EXPECT_EQ(text_of(*tokenizer, *ids), "1+2=\n\nReference answer: 34<eos>");
  EXPECT_FALSE(encode_judged(*tokenizer, plain, {{}, "3", "4"}, kEos).ok());
}

TEST(JudgedText, ATemplateSaysWhatStandsAround) {
  const auto tokenizer = characters();
  const auto chatml = *ChatTemplate::of_family("chatml");
  const auto ids = encode_judged(*tokenizer, chatml, {{{"user", "1"}}, "", "2"}, kEos);
  EXPECT_EQ(text_of(*tokenizer, *ids),
            "<|im_start|>user\n1<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n");
}

TEST(JudgedText, AQuestionOfPartsKeepsItsForm) {
  const auto tokenizer = characters();
  const auto by_part = ChatTemplate::from_jinja(
      "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
      "{% for part in m.content %}<{{ part.text }}>{% endfor %}{% endif %}{% endfor %}");
  const std::vector<data::ContentPart> parts = {{data::PartKind::text, "1+"},
                                                {data::PartKind::text, "2="}};
  const auto ids = encode_judged(*tokenizer, by_part, {{{"user", parts}}, "3", "4"}, kEos);
  ASSERT_TRUE(ids.ok()) << ids.status().message();
  EXPECT_EQ(text_of(*tokenizer, *ids), "<1+><2=\n\nReference answer: 3>4");
}

TEST(JudgedText, WhatTheTokenizerCannotSayIsAnError) {
  const auto tokenizer = characters();
  const auto plain = *ChatTemplate::of_family("plain");
  const auto ids = encode_judged(*tokenizer, plain, {{{"user", "1"}}, "", "Q"}, kEos);
  EXPECT_NE(ids.status().message().find("no token"), std::string::npos);
  EXPECT_FALSE(encode_judged(*tokenizer, plain, {{}, "", ""}, kEos).ok());
}

}  // namespace
}  // namespace longshot::tokenizer
