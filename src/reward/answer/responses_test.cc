// Whole responses: tests/grader/responses.jsonl, and deeply nested inputs.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>
#include <sstream>

#include "base/os/fs.h"
#include "math/compare/equal.h"
#include "reward/answer/extract.h"
#include "reward/reward.h"

namespace longshot::reward {
namespace {

TEST(Responses, AreJudgedAsTheTableSays) {
  const auto text = read_file(LONGSHOT_SOURCE_DIR "/tests/grader/responses.jsonl");
  ASSERT_TRUE(text.ok()) << text.status().to_string();
  std::map<std::string, std::pair<int, int>> by_kind;  // right, all
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    const auto row = parse_json(line, "responses.jsonl");
    ASSERT_TRUE(row.ok()) << line;
    auto reward = make_reward({.type = row->at("reward"), .options = {}});
    ASSERT_TRUE(reward.ok()) << reward.status().to_string();
    Question question;
    question.completion = row->at("row").at("completion");
    question.ground_truth = row->at("row").at("ground_truth");
    question.extra_info = row->at("row").value("extra_info", Json());
    const auto score = (*reward)->judge(question, Deadline::never());
    ASSERT_TRUE(score.ok()) << line << score.status().to_string();
    auto& [right, all] = by_kind[row->at("kind")];
    ++all;
    right += score->value == row->at("score").get<double>();
    EXPECT_EQ(score->value, row->at("score").get<double>()) << line << "\n  " << score->answer;
  }
  int all = 0;
  for (const auto& [kind, count] : by_kind) {
    std::printf("%4d of %4d  %s\n", count.first, count.second, kind.c_str());
    all += count.second;
  }
  EXPECT_GE(all, 250);
}

std::string repeated(const std::string& piece, int times) {
  std::string out;
  out.reserve(piece.size() * static_cast<size_t>(times));
  for (int i = 0; i < times; ++i) out += piece;
  return out;
}

// LONGSHOT_NESTING sets the depth of long runs.
int deepest() {
  const char* wanted = std::getenv("LONGSHOT_NESTING");
  return wanted == nullptr ? 30000 : std::max(1, std::atoi(wanted));
}

// Repeats every construct that opens something very often, with and without its end. The process
// must survive, in bounded time.
TEST(Responses, NestingOfAnyDepthEndsNoProcess) {
  const std::pair<const char*, const char*> kinds[] = {{"(", ")"},
                                                       {"[", "]"},
                                                       {"]", "["},
                                                       {"{", "}"},
                                                       {"\\{", "\\}"},
                                                       {"|", "|"},
                                                       {"\\frac{1}{", "}"},
                                                       {"\\frac{", "}{2}"},
                                                       {"\\sqrt{", "}"},
                                                       {"\\sqrt", ""},
                                                       {"\\sqrt[3]{", "}"},
                                                       {"\\boxed{", "}"},
                                                       {"\\text{", "}"},
                                                       {"x^{", "}"},
                                                       {"x_{", "}"},
                                                       {"2^", ""},
                                                       {"-", ""},
                                                       {"\\log_", ""},
                                                       {"\\sin ", ""},
                                                       {"f(", ")"},
                                                       {"\\lfloor ", "\\rfloor "},
                                                       {"\\langle ", "\\rangle "},
                                                       {"\\left(", "\\right)"},
                                                       {"\\{x | ", "\\}"},
                                                       {"\\begin{pmatrix}", "\\end{pmatrix}"},
                                                       {"{1 \\over ", "}"},
                                                       {"\\binom{", "}{1}"},
                                                       {"\\sum_{", "}"},
                                                       {"\\color{red}{", "}"},
                                                       {"(1,", ")"},
                                                       {"[[", "]]"},
                                                       {"<answer>", "</answer>"},
                                                       {"<think>", "</think>"},
                                                       {"[\"", "\"]"},
                                                       {"\\pm ", ""},
                                                       {"x \\in ", ""},
                                                       {"x<", ""},
                                                       {"1:", ""},
                                                       {"!", ""},
                                                       {"\\overline{", "}"},
                                                       {"5 (", ")"},
                                                       {"5 \\frac{m}{", "}"},
                                                       {"{\"a\":", "}"},
                                                       {"or ", ""},
                                                       {"answer: ", ""},
                                                       {"**", "**"}};
  std::vector<std::unique_ptr<Reward>> rewards;
  for (const char* type : {"math", "choice", "countdown", "exact", "reasoning_gym"})
    rewards.push_back(*make_reward({.type = type, .options = {}}));
  for (const auto& [open, close] : kinds) {
    for (const int depth : {300, deepest()}) {
      const std::string cut = repeated(open, depth);
      const std::string whole = cut + "1" + repeated(close, depth);
      for (const std::string& text : {cut, whole, "\\boxed{" + whole + "}"}) {
        const std::clock_t start = std::clock();
        for (const auto& reward : rewards) {
          Question question;
          question.completion = text;
          question.ground_truth = depth == 300 ? text : "B";
          (void)reward->judge(question, Deadline::never());
        }
        EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 20)
            << open << " " << depth;
      }
    }
  }
}

}  // namespace
}  // namespace longshot::reward
