#pragma once
// Rows for reward models: responses with a label, or pairs of responses.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::datasets {

// One row for a reward model: a response with a label, or a pair of responses.
struct JudgedRow {
  std::vector<data::Message> question;  // ends with the user's turn; empty: there is none
  std::string reference;                // the right answer, if the row has one
  std::string response;                 // of a pair, the better one
  std::string rejected;                 // of a pair, the worse one
  bool pair = false;
  double label = 1;  // in [0, 1]: the probability that the response is right
  std::string where;
};
// Schemas: TRL's prompt+completion+label and prompt+chosen+rejected, the latter also with the
// prompt inside `chosen` and `rejected`; a verl prompt with `response` and `label`. A prompt that
// is a text is the user's turn. The question keeps the form of its contents (a text or a list of
// parts); a response is its text, as in use. label: true, false or a number in [0, 1]. The
// reference comes from reward_model.ground_truth, ground_truth, answer or solution.
Result<std::vector<JudgedRow>> read_judged(const std::vector<std::string>& files);

// The row as a reward model with a scalar head reads it (tokenizer/judged_text.h).
struct JudgedExample {
  std::vector<data::TokenId> tokens;
  std::vector<data::TokenId> rejected;  // empty: the row is not a pair
  double label = 1;
};
// Leaves out rows with more than max_length tokens, question included, and counts them in
// `dropped`; for a pair the longer response decides. Errors name the row.
Result<std::vector<JudgedExample>> encode_judged(const std::vector<JudgedRow>& rows,
                                                 const tokenizer::Tokenizer& tokenizer,
                                                 const tokenizer::ChatTemplate& chat_template,
                                                 data::TokenId eos, int max_length, int* dropped);

}  // namespace longshot::datasets
