#include "curate/rows/problem_row.h"

#include <gtest/gtest.h>

#include "datasets/prompts.h"

namespace longshot::curate {
namespace {

data::Prompt parsed(const char* json, const RowOptions& options = {}) {
  auto problem = parse_problem({parse_json(json, "test").value(), "f.jsonl:1"}, options);
  EXPECT_TRUE(problem.ok()) << problem.status().to_string();
  return std::move(*problem);
}

TEST(ProblemRows, OfEveryShapeBecomeVerlRows) {
  for (
      const char* json :
      {R"({"prompt": " Add  1.\r\n", "answer": "$2$"})",
       R"({"question": "Add  1.", "answer": "2"})",
       R"({"problem": "Add  1.", "solution": "It is \\boxed{2}."})",
       R"({"prompt": [{"role": "user", "content": "Add  1."}], "reward_model": {"ground_truth": "2"}})"}) {
    const OrderedJson row = verl_row(parsed(json));
    EXPECT_EQ(row["prompt"][0]["content"], "Add  1.") << json;
    EXPECT_EQ(row["reward_model"]["ground_truth"], "2") << json;
    EXPECT_FALSE(row.contains("data_source"));
  }
}

TEST(ProblemRows, KeepTheirIdWhenReadAgain) {
  RowOptions options;
  options.data_source = "mine";
  for (
      const char* json :
      {R"({"id": 7, "prompt": "a", "answer": "1"})", R"({"prompt": "b", "answer": "1"})",
       R"({"prompt": "c", "answer": "1", "data_source": "s", "extra_info": {"index": 3, "split": "t"}})"}) {
    const data::Prompt before = parsed(json, options);
    const Json row = verl_row(before);
    const auto after = datasets::parse_prompt({row, "again"}, {});
    ASSERT_TRUE(after.ok());
    EXPECT_EQ(after->id, before.id) << json;
    EXPECT_EQ(after->ground_truth, before.ground_truth);
  }
}

TEST(ProblemRows, AreComparedWithoutIgnoredTexts) {
  RowOptions options;
  options.ignore = {"Think step by step."};
  const auto problem =
      parsed(R"({"prompt": "Add 1. Think step by step.", "answer": "2"})", options);
  EXPECT_EQ(problem_words(problem, options), "add 1");
  EXPECT_EQ(whole_text(problem), "Add 1. Think step by step.");
}

TEST(ProblemRows, MayBeEmpty) {
  RowOptions unclean;
  unclean.clean = false;
  for (const char* json :
       {R"({"prompt": "", "answer": "2"})", R"({"problem": null, "answer": "2"})",
        R"({"problem": [], "answer": "2"})"}) {
    EXPECT_EQ(whole_text(parsed(json)), "") << json;
    EXPECT_EQ(whole_text(parsed(json, unclean)), "") << json;
  }
  EXPECT_EQ(parse_problem({parse_json(R"({"x": 1})", "t").value(), "f.jsonl:9"}, {})
                .status()
                .message()
                .find("f.jsonl:9"),
            0U);
}

}  // namespace
}  // namespace longshot::curate
