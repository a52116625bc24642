#include "curate/samples/prompt_template.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace longshot::curate {
namespace {

data::Prompt text_prompt(const std::string& id, const std::string& text) {
  data::Prompt prompt;
  prompt.id = id;
  prompt.text = text;
  return prompt;
}

PromptTemplate parsed(const std::string& text) {
  return PromptTemplate::parse(text, "t.txt").value();
}

TEST(PromptTemplate, FillsTheProblemAndKeepsOtherBraces) {
  const auto asked = parsed("Put it in \\boxed{answer}: {problem} {\"a\": 1}\n")
                         .apply(text_prompt("a", "2+3"), {});
  EXPECT_EQ(asked->text, "Put it in \\boxed{answer}: 2+3 {\"a\": 1}");
}

TEST(PromptTemplate, PlaceholdersInsideAProblemAreText) {
  const auto asked = parsed("{examples}|{problem}")
                         .apply(text_prompt("a", "{examples} {problem}"), {{"{problem}", "s"}});
  EXPECT_EQ(asked->text, "Problem:\n{problem}\n\nSolution:\ns|{examples} {problem}");
}

TEST(PromptTemplate, ReplacesTheLastUserMessage) {
  data::Prompt chat;
  chat.messages = {{"system", "s"}, {"user", "a"}, {"assistant", "b"}, {"user", "c"}};
  chat.extra_info = {
      {"chat_template", {{"arguments", ""}, {"messages", {{"1", "x"}, {"3", "y"}}}}}};
  const auto asked = parsed("<{problem}>").apply(chat, {});
  ASSERT_TRUE(asked.ok());
  EXPECT_EQ(asked->messages[1].content, data::Content("a"));
  EXPECT_EQ(asked->messages[3].content, data::Content("<c>"));
  EXPECT_EQ(asked->extra_info["chat_template"]["messages"], Json({{"1", "x"}}));
  chat.messages = {{"system", "s"}};
  EXPECT_FALSE(parsed("{problem}").apply(chat, {}).ok());
}

TEST(PromptTemplate, NeedsTheProblemOnce) {
  EXPECT_EQ(PromptTemplate::parse("{question}", "t.txt").status().message(),
            "t.txt: the placeholder {problem} is missing");
  EXPECT_EQ(PromptTemplate::parse("{problem}{problem}", "t.txt").status().message(),
            "t.txt: the placeholder {problem} occurs twice");
  EXPECT_TRUE(parsed("{examples}{problem}").has_examples());
  EXPECT_FALSE(parsed("{problem}").has_examples());
}

TEST(PromptTemplate, ASystemMessageComesFirst) {
  const auto asked = with_system(text_prompt("a", "2+3"), "Be brief.");
  EXPECT_EQ(asked->messages,
            (std::vector<data::Message>{{"system", "Be brief."}, {"user", "2+3"}}));
  EXPECT_EQ(with_system(text_prompt("a", "2+3"), "")->text, "2+3");
  EXPECT_FALSE(with_system(*asked, "again").ok());
}

TEST(PromptTemplate, AColumnOfTheUsersOwnIsLeftAlone) {
  for (const Json& own :
       {Json("x"), Json{{"messages", {{"a", "b"}}}}, Json{{"messages", {1, 2}}},
        Json{{"messages", {{"1", "x"}}}}, Json{{"arguments", ""}, {"messages", {{"0", 1}}}}}) {
    data::Prompt prompt = text_prompt("a", "2+3");
    prompt.extra_info["chat_template"] = own;
    const auto asked = with_system(prompt, "Be brief.");
    ASSERT_TRUE(asked.ok());
    EXPECT_EQ(asked->extra_info["chat_template"], own);
    const auto filled = parsed("<{problem}>").apply(*asked, {});
    ASSERT_TRUE(filled.ok());
    EXPECT_EQ(filled->extra_info["chat_template"], own);
  }
}

TEST(Examples, AreAFunctionOfSeedAndPromptAndNeverTheProblemItself) {
  std::vector<SolvedExample> all;
  for (int i = 0; i < 10; ++i) all.push_back({"p" + std::to_string(i), "s"});
  const auto names = [&](int count, uint64_t seed, const std::string& id) {
    std::string text;
    for (const auto& e : choose_examples(all, count, seed, text_prompt(id, "p3")))
      text += e.problem;
    return text;
  };
  EXPECT_EQ(names(3, 1, "a"), names(3, 1, "a"));
  EXPECT_EQ(names(3, 1, "a"), names(5, 1, "a").substr(0, 6));
  std::set<std::string> different;
  for (uint64_t seed = 0; seed < 20; ++seed) different.insert(names(3, seed, "a"));
  EXPECT_GT(different.size(), 10u);
  EXPECT_EQ(names(20, 1, "a").size(), 18u);
  EXPECT_EQ(names(20, 1, "a").find("p3"), std::string::npos);
}

class Files : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  Result<std::vector<SolvedExample>> read(const std::string& text) {
    std::ofstream(path_) << text << "\n";
    return read_examples({path_});
  }
  const std::string path_ =
      std::filesystem::temp_directory_path() / ("examples" + std::to_string(::getpid()) + ".jsonl");
};

TEST_F(Files, SolvedRowsAreReadInEveryForm) {
  for (
      const char* row :
      {R"({"prompt": "p", "completion": "s"})",
       R"({"prompt": [{"role": "user", "content": "p"}], "solution": "s", "answer": "4"})",
       R"({"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "s"}]})",
       R"({"id": "a", "prompt": "p", "samples": [
               {"index": 0, "response": "x", "finish": "stop", "score": 0},
               {"index": 1, "response": "s", "finish": "stop", "score": 1, "correct": true}]})"}) {
    std::string line = row;
    line.erase(std::remove(line.begin(), line.end(), '\n'), line.end());
    const auto examples = read(line);
    ASSERT_TRUE(examples.ok()) << examples.status().message();
    ASSERT_EQ(examples->size(), 1u);
    EXPECT_EQ(examples->front().problem, "p");
    EXPECT_EQ(examples->front().solution, "s");
  }
}

TEST_F(Files, ARowWithoutASolutionIsAnError) {
  EXPECT_NE(read(R"({"prompt": "p"})").status().message().find(":1: a solved example needs one of"),
            std::string::npos);
  EXPECT_NE(read(R"({"answer": "p"})").status().message().find(":1: key 'prompt' is missing"),
            std::string::npos);
}

}  // namespace
}  // namespace longshot::curate
