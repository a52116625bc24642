#include "eval/suite/items.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/check.h"
#include "eval/suite/testing.h"

namespace longshot::eval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Json> quiz_rows() {
  return {{{"q", "one"}, {"options_list", {"red", "blue"}}, {"answer", 1}},
          {{"q", "two"}, {"options_list", {"up", "down", "left"}}, {"answer", "A"}},
          {{"q", "three"}, {"options_list", {"yes", "no"}}, {"answer", "yes"}}};
}

std::string text_of(const tokenizer::Tokenizer& tokenizer, const std::vector<data::TokenId>& ids) {
  return tokenizer.decode(ids);
}

TEST(Items, ChoicesAndAnswersInAllForms) {
  const auto tokenizer = letters();
  const Task task = choice_task(write_rows("items_quiz.jsonl", quiz_rows()));
  const auto loaded = load_items(task, *tokenizer, {}, 100, 0);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  ASSERT_EQ(loaded->items.size(), 3u);
  EXPECT_EQ(loaded->items[0].right, 1);
  EXPECT_EQ(loaded->items[1].right, 0);
  EXPECT_EQ(loaded->items[2].right, 0);
  const Item& item = loaded->items[1];
  EXPECT_EQ(item.prompt.id, "quiz/1");
  EXPECT_EQ(item.prompt.text, "Q: two\nA:");
  EXPECT_EQ(text_of(*tokenizer, item.prompt.tokens), "Q: two\nA:");
  EXPECT_EQ(text_of(*tokenizer, item.continuations[2]), " left");
  EXPECT_THAT(item.lengths, ElementsAre(2, 4, 4));
}

TEST(Items, WhiteSpaceAtTheEndOfThePromptBelongsToTheContinuation) {
  const auto tokenizer = letters();
  Task task = choice_task(write_rows("items_space.jsonl", quiz_rows()));
  task.prompt = "Q: {q} ";
  task.continuation = "{letter}";
  const auto loaded = load_items(task, *tokenizer, {}, 100, 1);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(text_of(*tokenizer, loaded->items[0].prompt.tokens), "Q: one");
  EXPECT_EQ(text_of(*tokenizer, loaded->items[0].continuations[1]), " B");
}

TEST(Items, ExamplesComeFirstAndARowIsNoneOfItself) {
  const auto tokenizer = letters();
  Task task = choice_task(write_rows("items_shots.jsonl", quiz_rows()));
  task.shots = 1;
  const auto loaded = load_items(task, *tokenizer, {}, 100, 0);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->items[0].prompt.text, "Q: two\nA: up\n\nQ: one\nA:");
  EXPECT_EQ(loaded->items[2].prompt.text, "Q: one\nA: blue\n\nQ: three\nA:");
}

TEST(Items, GenerationGetsOptionsLetterAndTruth) {
  const auto tokenizer = letters();
  Task task = choice_task(write_rows("items_options.jsonl", quiz_rows()));
  task.kind = TaskKind::generate;
  task.prompt = "{q}\n{options}";
  task.shuffle = true;
  task.max_tokens = 5;
  const auto loaded = load_items(task, *tokenizer, {}, 100, 0);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  const Item& item = loaded->items[1];
  EXPECT_EQ(item.choices.at(static_cast<size_t>(item.right)), "up");
  EXPECT_EQ(item.prompt.ground_truth, std::string(1, static_cast<char>('A' + item.right)));
  EXPECT_EQ(item.prompt.extra_info["choices"].size(), 3u);
  EXPECT_THAT(item.prompt.text, HasSubstr("C. " + item.choices[2]));
}

TEST(Items, LongRowsAreLeftOutAndBadOnesAreErrors) {
  const auto tokenizer = letters();
  const Task task = choice_task(write_rows("items_long.jsonl", quiz_rows()));
  const auto loaded = load_items(task, *tokenizer, {}, 14, 0);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->left_out, 1);
  auto rows = quiz_rows();
  rows[1]["answer"] = "sideways";
  const Task bad = choice_task(write_rows("items_bad.jsonl", rows));
  EXPECT_THAT(load_items(bad, *tokenizer, {}, 100, 0).status().message(),
              testing::AllOf(HasSubstr("items_bad.jsonl:2"), HasSubstr("sideways")));
}

TEST(Items, ARepeatedIdIsRefused) {
  const auto tokenizer = letters();
  auto rows = quiz_rows();
  for (size_t i = 0; i < rows.size(); ++i) rows[i]["number"] = i % 2;
  Task task = choice_task(write_rows("items_ids.jsonl", rows));
  task.id = "{number}";
  EXPECT_THAT(load_items(task, *tokenizer, {}, 100, 0).status().message(),
              testing::AllOf(HasSubstr("items_ids.jsonl:3: the id 'quiz/0'"),
                             HasSubstr("items_ids.jsonl:1;"), HasSubstr("'id'")));
}

// The index of the right choice, or the error.
std::string right_of(const std::vector<std::string>& choices, const Json& answer, int from = -1,
                     const std::string& form = "{answer}") {
  const auto tokenizer = letters();
  Task task = choice_task(write_rows(
      "items_numbers.jsonl", {{{"q", "x"}, {"options_list", choices}, {"answer", answer}}}));
  task.answer_from = from;
  task.answer = form;
  const auto loaded = load_items(task, *tokenizer, {}, 100, 0);
  return loaded.ok() ? std::to_string(loaded->items[0].right) : loaded.status().message();
}

TEST(Items, ATextIsAChoiceBeforeItIsANumber) {
  const std::vector<std::string> numbers = {"1", "2", "3", "4"}, words = {"a", "b", "c", "d"};
  EXPECT_EQ(right_of(numbers, "2"), "1");
  EXPECT_EQ(right_of(numbers, "4"), "3");
  EXPECT_EQ(right_of(numbers, 2), "2");
  EXPECT_EQ(right_of(words, "2"), "2");
  EXPECT_EQ(right_of({"5", "0"}, "unused", -1, "0"), "0");  // as for GPQA
  EXPECT_THAT(right_of(words, "4"),
              testing::AllOf(HasSubstr("none of the choices"), HasSubstr("'answer_from'"),
                             HasSubstr("(now 0)")));
}

TEST(Items, AnswerFromSaysWhereNumbersBegin) {
  const std::vector<std::string> words = {"a", "b", "c", "d"};
  EXPECT_EQ(right_of(words, "1", 1), "0");
  EXPECT_EQ(right_of(words, 4, 1), "3");
  EXPECT_EQ(right_of(words, "C", 1), "2");
  EXPECT_EQ(right_of(words, "d", 1), "3");
  EXPECT_EQ(right_of({"2", "1", "4"}, "2", 1), "1");
  EXPECT_EQ(right_of({"2", "1", "4"}, "2", 0), "2");
  EXPECT_THAT(right_of(words, "0", 1), HasSubstr("none of the choices"));
  EXPECT_EQ(right_of(std::vector<std::string>(12, "x"), 12, 1), "11");
}

// The numbers of a task are compared between models, so its length is never lowered silently.
TEST(Items, ALengthThatLeavesNoRoomIsNamed) {
  const auto tokenizer = letters();
  Task task = choice_task(write_rows("items_room.jsonl", quiz_rows()));
  task.kind = TaskKind::generate;
  EXPECT_THAT(load_items(task, *tokenizer, {}, 100, 0).status().message(),
              HasSubstr("context of 100 tokens beside max_tokens = 512; give the task a smaller"));
}

TEST(Items, ASystemMessagePrecedesThePromptWithoutATemplateToo) {
  const auto tokenizer = letters();
  Task task = choice_task(write_rows("items_system.jsonl", quiz_rows()));
  task.kind = TaskKind::generate;
  task.system = "Be brief. ";
  task.max_tokens = 5;
  const auto loaded = load_items(task, *tokenizer, {}, 100, 1);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(text_of(*tokenizer, loaded->items[0].prompt.tokens), "Be brief. Q: one\nA:");
}

TEST(Items, AnswersByPatternAndColumns) {
  const auto tokenizer = letters();
  Task task;
  task.name = "sums";
  task.max_tokens = 5;
  task.files = {write_rows("items_sums.jsonl", {{{"q", "x"}, {"answer", "so 5. R: 12"}}})};
  task.prompt = "{q}";
  task.answer = "{answer}";
  task.answer_pattern = "R: (.*)";
  EXPECT_EQ(load_items(task, *tokenizer, {}, 100, 0)->items[0].prompt.ground_truth, "12");
  task.answer = task.answer_pattern = "";
  task.answer_columns = {"q"};
  EXPECT_EQ(load_items(task, *tokenizer, {}, 100, 0)->items[0].prompt.ground_truth_json,
            Json({{"q", "x"}}));
}

}  // namespace
}  // namespace longshot::eval
