#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reward/rules/ifeval/ifeval.h"
#include "reward/rules/ifeval/instructions.h"
#include "reward/rules/ifeval/language.h"
#include "reward/rules/ifeval/sentences.h"

namespace longshot::reward {
namespace {

bool follows(const std::string& id, const Json& arguments, const std::string& response) {
  const auto check = make_instruction(id, arguments, "row");
  EXPECT_TRUE(check.ok()) << check.status().message();
  return check.ok() && *(*check)(response);
}

struct Case {
  const char* id;
  Json arguments;
  const char* yes;
  const char* no;
};

TEST(Ifeval, EveryInstructionHasAResponseThatFollowsAndOneThatDoesNot) {
  const std::vector<Case> cases = {
      {"keywords:existence", {{"keywords", {"river", "tree"}}}, "A Tree by the river", "A tree"},
      {"keywords:frequency",
       {{"keyword", "go"}, {"frequency", 2}, {"relation", "at least"}},
       "Go, goat",
       "go"},
      {"keywords:forbidden_words", {{"forbidden_words", {"go"}}}, "a goat", "I Go."},
      {"keywords:letter_frequency",
       {{"letter", "A"}, {"let_frequency", 2}, {"let_relation", "less than"}},
       "a b",
       "Aa"},
      {"language:response_language",
       {{"language", "de"}},
       "Das ist ein kurzer Satz, der auf Deutsch geschrieben ist.",
       "This is a short sentence that is written in English."},
      {"length_constraints:number_sentences",
       {{"num_sentences", 2}, {"relation", "at least"}},
       "Dr. Smith left. He is back.",
       "Dr. Smith left."},
      {"length_constraints:number_paragraphs", {{"num_paragraphs", 2}}, "a\n***\nb", "a\n\nb"},
      {"length_constraints:number_words",
       {{"num_words", 3}, {"relation", "less than"}},
       "well-known",
       "a well-known"},
      {"length_constraints:nth_paragraph_first_word",
       {{"num_paragraphs", 2}, {"nth_paragraph", 2}, {"first_word", "So"}},
       "One.\n\n\"so, yes",
       "So.\n\nOne"},
      {"detectable_content:number_placeholders", {{"num_placeholders", 2}}, "[a] [b]", "[a]"},
      {"detectable_content:postscript", {{"postscript_marker", "P.S."}}, "a\nP. S. b", "PS b"},
      {"detectable_format:number_bullet_lists", {{"num_bullets", 2}}, "* a\n- b", "* a\n** b"},
      {"detectable_format:constrained_response", {}, "My answer is no.", "No."},
      {"detectable_format:number_highlighted_sections",
       {{"num_highlights", 2}},
       "*a* and *b*",
       "*a* and **"},
      {"detectable_format:multiple_sections",
       {{"section_spliter", "Section"}, {"num_sections", 2}},
       "Section 1\na\nSection 2\nb",
       "Section 1\na\nSection b"},
      {"detectable_format:json_format", {}, "```json\n{\"a\": NaN}\n```", "{'a': 1}"},
      {"detectable_format:title", {}, "<<a poem>>", "<< >>"},
      {"combination:two_responses", {}, "a\n******\nb", "a\n******\na"},
      {"combination:repeat_prompt", {{"prompt_to_repeat", "Why? "}}, " why? So.", "So why?"},
      {"startend:end_checker", {{"end_phrase", "The end."}}, "\"It is the end.\"", "The end"},
      {"startend:quotation", {}, " \"a\" ", "\"a"},
      {"change_case:capital_word_frequency",
       {{"capital_frequency", 2}, {"capital_relation", "at least"}},
       "NASA and U.S.",
       "NASA and Us"},
      {"change_case:english_capital",
       {},
       "THE OTHER THING IS WHAT WE WANTED",
       "Hello there, my friend"},
      {"change_case:english_lowercase",
       {},
       "this is all in lower case and it is english",
       "This is not."},
      {"punctuation:no_comma", {}, "a b", "a, b"}};
  std::vector<std::string> ids;
  for (const Case& c : cases) {
    EXPECT_TRUE(follows(c.id, c.arguments, c.yes)) << c.id;
    EXPECT_FALSE(follows(c.id, c.arguments, c.no)) << c.id;
    ids.emplace_back(c.id);
  }
  EXPECT_THAT(ids, testing::UnorderedElementsAreArray(instruction_ids()));
}

TEST(Ifeval, ErrorsNameTheInstructionAndTheArgument) {
  const auto message = [](const std::string& id, const Json& arguments) {
    return make_instruction(id, arguments, "kwargs[0]").status().message();
  };
  EXPECT_THAT(message("keywords:exist", {}), testing::HasSubstr("keywords:exist"));
  EXPECT_THAT(message("keywords:existence", {{"keywords", nullptr}}),
              testing::HasSubstr("'keywords'"));
  EXPECT_THAT(message("length_constraints:number_words", {{"num_words", 0}}),
              testing::HasSubstr("'num_words'"));
  EXPECT_THAT(message("keywords:existence", {{"keywords", {"("}}}), testing::HasSubstr("pattern"));
}

TEST(Ifeval, SentencesEndAtPeriodsThatAreNoAbbreviations) {
  using testing::ElementsAre;
  EXPECT_THAT(sentences_of("Mr. Fox left. \"He ran.\" Why?  No. 5 is here"),
              ElementsAre("Mr. Fox left.", "\"He ran.\"", "Why?", "No.", "5 is here"));
  EXPECT_THAT(sentences_of("It cost 3.50 (net.) The U.S. Army paid."),
              ElementsAre("It cost 3.50 (net.)", "The U.S. Army paid."));
  EXPECT_THAT(sentences_of("   "), ElementsAre());
}

TEST(Ifeval, LanguagesOfShortTexts) {
  EXPECT_EQ(language_of("La maison est grande et le jardin est petit."), "fr");
  EXPECT_EQ(language_of("\xE4\xBB\x8A\xE6\x97\xA5\xE3\x81\xAF\xE8\x89\xAF\xE3\x81\x84"
                        "\xE5\xA4\xA9\xE6\xB0\x97\xE3\x81\xA7\xE3\x81\x99"),
            "ja");
  EXPECT_EQ(language_of("123 456"), std::nullopt);
}

Score judged(const Json& options, const std::string& completion) {
  Question question;
  question.completion = completion;
  question.extra_info = {{"instruction_id_list", {"punctuation:no_comma", "startend:quotation"}},
                         {"kwargs", {Json::object(), {{"num_words", nullptr}}}}};
  auto reward = *make_ifeval(options);
  return *reward->judge(question, Deadline::never());
}

TEST(Ifeval, StrictLooseAndShare) {
  // Without its first line the response follows both.
  const std::string response = "Sure, here it is:\n\"a\"";
  EXPECT_EQ(judged({}, response).value, 0);
  EXPECT_EQ(judged({{"measure", "prompt_loose"}}, response).value, 1);
  EXPECT_EQ(judged({{"measure", "instruction_loose"}}, response).value, 1);
  EXPECT_EQ(judged({{"measure", "instruction_strict"}}, "\"a, b\"").value, 0.5);
  const Score score = judged({}, response);
  EXPECT_FALSE(score.correct);
  EXPECT_EQ(score.figures.at("ifeval/instructions"), 2);
  EXPECT_EQ(score.figures.at("ifeval/prompt_loose"), 1);
  EXPECT_EQ(judged({}, "").figures.at("ifeval/followed_loose"), 0);
}

TEST(Ifeval, ThoughtsAreNotPartOfTheResponse) {
  EXPECT_EQ(judged({}, "<think>Well, then.</think>\n\n\"a\"").value, 1);
  EXPECT_EQ(judged({}, "<think>\"Well\"</think>\"a, b\"").value, 0);
  EXPECT_EQ(judged({}, "<think>\"cut\"").figures.at("ifeval/followed_loose"), 0);
}

}  // namespace
}  // namespace longshot::reward
