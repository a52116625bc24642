#pragma once
// Rows for reward models: responses with a label, or pairs of responses.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "datasets/examples.h"
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
Result<JudgedRow> parse_judged(const Row& row);
// All rows of the files; it is an error if there is none.
Result<std::vector<JudgedRow>> read_judged(const std::vector<std::string>& files);

// The row as a reward model with a scalar head reads it (tokenizer/judged_text.h).
struct JudgedExample {
  std::vector<data::TokenId> tokens;
  std::vector<data::TokenId> rejected;  // empty: the row is not a pair
  double label = 1;
};

class JudgedEncoder final : public ExampleEncoder<JudgedExample> {
 public:
  // Tokenizer and template must outlive the encoder.
  JudgedEncoder(const tokenizer::Tokenizer& tokenizer, const tokenizer::ChatTemplate& chat_template,
                data::TokenId eos)
      : tokenizer_(tokenizer), chat_template_(chat_template), eos_(eos) {}

  Result<JudgedExample> encode(const Row& row) override;
  // The question is included; of a pair, the longer response.
  int64_t longest(const JudgedExample& example) const override;
  int64_t tokens(const JudgedExample& example) const override;

 private:
  Result<std::vector<data::TokenId>> encode_response(const JudgedRow& row,
                                                     const std::string& response) const;

  const tokenizer::Tokenizer& tokenizer_;
  const tokenizer::ChatTemplate& chat_template_;
  data::TokenId eos_;
};

}  // namespace longshot::datasets
