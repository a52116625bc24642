#pragma once
// What a reward model with a scalar head reads, as token ids: the same in its training and in its use.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::tokenizer {

struct JudgedText {
  std::vector<data::Message> question;  // ends with the user's turn; empty: the response alone
  std::string reference;                // the right answer; empty: not known
  std::string response;
};

// The chat of question and response by the model's template, without a generation prompt; a reference answer stands in the
// question's last turn, after "\n\nReference answer: ". Where the template is "plain" the texts follow one another, after
// the tokenizer's leading BOS if it has one, and `eos` ends them. Errors: a character without a token, no text.
Result<std::vector<TokenId>> encode_judged(const Tokenizer& tokenizer,
                                           const ChatTemplate& chat_template, JudgedText text,
                                           TokenId eos);

}  // namespace longshot::tokenizer
