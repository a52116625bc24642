#include "eval/suite/suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/os/fs.h"
#include "eval/suite/fill.h"

namespace longshot::eval {
namespace {

using testing::HasSubstr;

TEST(Fill, ReplacesColumnsMembersAndBraces) {
  const Json row = {{"a", "x"}, {"b", {{"c", 3}}}, {"d", {"p", true}}, {"e.f", "dot"}};
  EXPECT_EQ(*fill("{a}-{b.c}-{d.1}-{e.f}-{{a}}-{d}", row, "r"), "x-3-true-dot-{a}-[\"p\",true]");
  EXPECT_THAT(fill("{no}", row, "f:3").status().message(),
              HasSubstr("f:3: there is no column 'no'"));
  EXPECT_THAT(fill("{d.2}", row, "r").status().message(), HasSubstr("'d.2'"));
  EXPECT_THAT(fill("{a", row, "r").status().message(), HasSubstr("without '}'"));
}

Result<Suite> read(const std::string& text) {
  const auto path = std::filesystem::path(testing::TempDir()) / "a_suite.toml";
  EXPECT_TRUE(write_file_atomic(path, text).ok());
  return read_suite(path);
}

TEST(Suite, ReadsTasks) {
  const auto suite = read(R"([[task]]
name = "one"
files = ["a.jsonl", "/b.jsonl"]
prompt = "{question}\nAnswer:"
answer = "{answer}"
reward = ["math", { type = "format", pattern = "x" }]
pass_at = [1, 2]
n = 4
temperature = 1
[[task]]
name = "two"
kind = "likelihood"
files = ["a.jsonl"]
prompt = "{question}"
choices = ["{A}", "{B}"]
answer = "{answer}"
)");
  ASSERT_TRUE(suite.ok()) << suite.status().message();
  ASSERT_EQ(suite->tasks.size(), 2u);
  EXPECT_EQ(suite->name, "a_suite");
  EXPECT_THAT(suite->tasks[0].files[0], HasSubstr("/a.jsonl"));
  EXPECT_EQ(suite->tasks[0].files[1], "/b.jsonl");
  EXPECT_EQ(suite->tasks[0].prompt, "{question}\nAnswer:");
  EXPECT_EQ(suite->tasks[0].reward.size(), 2u);
  EXPECT_EQ(suite->tasks[1].kind, TaskKind::likelihood);
}

TEST(Suite, ErrorsNameTheTaskAndTheKey) {
  const std::string head = "[[task]]\nname = \"t\"\nfiles = [\"a\"]\nprompt = \"p\"\n";
  const auto message = [](const std::string& text) { return read(text).status().message(); };
  EXPECT_THAT(message(head + "promt = \"x\"\n"),
              testing::AllOf(HasSubstr("task 't'"), HasSubstr("promt"), HasSubstr("prompt")));
  EXPECT_THAT(message(head + "n = \"x\"\n"), HasSubstr("'t'"));
  EXPECT_THAT(message(head + "kind = \"likelihood\"\n"), HasSubstr("choices"));
  EXPECT_THAT(message(head + "choices = [\"a\", \"b\"]\n"), HasSubstr("'answer'"));
  EXPECT_THAT(message(head + head), HasSubstr("two tasks"));
  EXPECT_THAT(message("x = 1\n"), HasSubstr("[[task]]"));
  EXPECT_THAT(message(head + "pass_at = [2]\n"), HasSubstr("pass_at"));
  EXPECT_THAT(message(head + "n = 2\n"),
              testing::AllOf(HasSubstr("task 't'"), HasSubstr("'temperature' above 0")));
  EXPECT_THAT(message(head + "answer_from = 2\n"),
              testing::AllOf(HasSubstr("answer_from"), HasSubstr("must be 0 or 1")));
  EXPECT_THAT(message(head + "system = \"s\"\nchat = false\n"),
              testing::AllOf(HasSubstr("'system'"), HasSubstr("leave out one")));
}

}  // namespace
}  // namespace longshot::eval
