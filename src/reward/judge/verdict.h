#pragma once
// What a Chain-of-Thought reward model is asked, and the verdict its answer must end with. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/types.h"

namespace longshot::reward {

struct JudgedAnswer {
  std::string question, reference, response;  // reference empty: not known
};

// What a judge reads of a chat that ends with the user's turn: a single message as it is; of several each after a line
// with its role and a colon, and an empty line between them. Empty for an empty chat.
std::string question_text(const std::vector<data::Message>& chat);

// The prompt used unless another one is given.
extern const char kJudgePrompt[];

// `form` with {question}, {reference} and {response} replaced; other braces stay. A reference that is not known reads
// "(not given)".
std::string judge_prompt(const std::string& form, const JudgedAnswer& answer);
// An error if `form` does not show the response.
Status check_judge_prompt(const std::string& form);

struct JudgeVerdict {
  bool correct = false;
  std::optional<double> score;  // in [0, 1]
  std::string reason;
};
// The text has to end with one JSON object, {"correct": true} or {"correct": false}, perhaps with "reason" (text) and
// "score" (number in [0, 1]); white space may follow. Anything else is corrupt, with what is wrong: no object, other
// members or types, an object longer than 4,096 bytes, "correct" named more than once in the text.
Result<JudgeVerdict> parse_verdict(std::string_view text);

// Several verdicts on one answer.
struct Votes {
  int yes = 0, no = 0;
  double score_sum = 0;
  int scores = 0;

  void add(const JudgeVerdict& verdict);
  int count() const { return yes + no; }
  bool correct() const { return yes > no; }
  // Mean score if every verdict has one, else the majority as 1 or 0.
  double value() const;
  // Mean score, else the share of yes: how sure the votes are that the answer is right. Needs a vote.
  double probability() const;
};

}  // namespace longshot::reward
