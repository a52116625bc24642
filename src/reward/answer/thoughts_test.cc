// Every reader of a response leaves out the same thoughts: after_thinking() in base/text/text.h.

#include <gtest/gtest.h>

#include "reward/answer/extract.h"
#include "reward/code/code_block.h"
#include "reward/judge/votes.h"

namespace longshot::reward {
namespace {

// What each reader finds in the response that `form` makes of a draft and of a final answer: the
// number of the answer that it takes, or "none". '1' stands for the draft, '2' for the final one.
struct Readers {
  std::string answer, program, vote;
};

std::string filled(std::string form, const std::string& draft, const std::string& final) {
  const size_t first = form.find('1');
  if (first != form.npos) form.replace(first, 1, draft);
  const size_t second = form.rfind('2');
  if (second != form.npos) form.replace(second, 1, final);
  return form;
}

Readers read(const std::string& form) {
  const auto answer = extract_answer(filled(form, "\\boxed{1}", "\\boxed{2}"));
  const auto block = program_of(filled(form, "\n```py\n1\n```\n", "\n```py\n2\n```\n"));
  const auto vote = parse_vote(filled(form, R"({"correct": false})", R"({"correct": true})"));
  return {answer ? answer->answer : "none", block ? block->code.substr(0, 1) : "none",
          !vote.ok()      ? "none"
          : vote->correct ? "2"
                          : "1"};
}

void expect(const std::string& form, const std::string& found) {
  const Readers readers = read(form);
  EXPECT_EQ(readers.answer, found) << form;
  EXPECT_EQ(readers.program, found) << form;
  EXPECT_EQ(readers.vote, found) << form;
}

TEST(Thoughts, DraftsDoNotCount) {
  expect("<think>1</think>2", "2");
  expect("1</think>2", "2");
  expect("<thinking>1</thinking>\n\n2", "2");
  expect("[THINK]1[/THINK]2", "2");
  expect("\u25c1think\u25b7 1 \u25c1/think\u25b7 2", "2");
}

TEST(Thoughts, ThatDoNotEndHoldNoAnswer) {
  expect("<think>1", "none");
  expect("<think>x</think>1<think>", "none");
}

TEST(Thoughts, ThatNothingFollowsAreSearchedForAnAnswer) {
  const Readers readers = read("<think>1</think>");
  EXPECT_EQ(readers.answer, "1");
  EXPECT_EQ(readers.program, "1");
  EXPECT_EQ(readers.vote, "none") << "a verdict is the end of the text";
}

}  // namespace
}  // namespace longshot::reward
