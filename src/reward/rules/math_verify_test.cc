#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>

#include "base/json.h"
#include "base/os/fs.h"
#include "reward/reward.h"

namespace longshot::reward {
namespace {

// The cases of Math-Verify's own tests: tests/grader/math_verify.jsonl. If our verdict differs on
// purpose, the row says why.
TEST(MathReward, AgreesWithTheCasesOfMathVerify) {
  const auto text = read_file(LONGSHOT_SOURCE_DIR "/tests/grader/math_verify.jsonl");
  ASSERT_TRUE(text.ok()) << text.status().to_string();
  int all = 0, agreed = 0, wrong = 0;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    const auto row = parse_json(line, "math_verify.jsonl");
    ASSERT_TRUE(row.ok()) << line;
    Json options = row->value("options", Json::object());
    auto reward = make_reward({.type = "math", .options = options});
    ASSERT_TRUE(reward.ok()) << reward.status().to_string();
    Question question;
    question.ground_truth = row->at("truth");
    question.completion = row->at("answer");
    const auto score = (*reward)->judge(question, Deadline::never());
    ASSERT_TRUE(score.ok()) << line << score.status().to_string();
    const bool expected = row->at("expected");
    ++all;
    agreed += score->correct == expected;
    wrong += score->correct && !expected;
    if (score->correct != expected && !row->contains("differs")) {
      ADD_FAILURE() << line << "\n  extracted: " << score->answer
                    << "\n  judged: " << score->correct;
    }
    EXPECT_TRUE(score->correct != expected || !row->contains("differs"))
        << "no difference: " << line;
  }
  std::printf(
      "agreement with the cases of Math-Verify: %d of %d (%.1f %%), %d accepted against them\n",
      agreed, all, 100.0 * agreed / all, wrong);
  EXPECT_GE(agreed, 0.98 * all);
}

}  // namespace
}  // namespace longshot::reward
