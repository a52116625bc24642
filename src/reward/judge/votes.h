#pragma once
// The prompt for a Chain-of-Thought reward model, and its votes: the verdicts with which its
// replies must end. Pure.

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

// The text that a judge reads for a chat that ends with the user's turn. A single message is its
// content. Of several messages each follows a line with its role and a colon, with an empty line
// between messages. Empty for an empty chat.
std::string question_text(const std::vector<data::Message>& chat);

// The prompt used unless another one is given.
extern const char kJudgePrompt[];

// Returns `form` with {question}, {reference} and {response} replaced; other braces stay. An
// unknown reference becomes "(not given)".
std::string judge_prompt(const std::string& form, const JudgedAnswer& answer);
// Returns an error if `form` does not contain {response}.
Status check_judge_prompt(const std::string& form);

// One verdict of the model.
struct Vote {
  bool correct = false;
  std::optional<double> score;  // in [0, 1]
  std::string reason;
};
// The text after the thoughts (after_thinking in base/text/text.h) must end with one JSON object,
// {"correct": true} or {"correct": false}, optionally with "reason" (text) and "score" (number in
// [0, 1]); white space may follow. Any other text is corrupt, and the message says why: no object,
// other members or types, an object longer than 4,096 bytes, or "correct" named more than once.
Result<Vote> parse_vote(std::string_view text);

// The votes on one answer.
struct Votes {
  int yes = 0, no = 0;
  double score_sum = 0;
  int scores = 0;

  void add(const Vote& vote);
  int count() const { return yes + no; }
  bool correct() const { return yes > no; }
  // Mean score if every vote has one, else the majority as 1 or 0.
  double value() const;
  // The estimated probability that the answer is right: the mean score if every vote has one, else
  // the share of yes. Needs a vote.
  double probability() const;
};

}  // namespace longshot::reward
