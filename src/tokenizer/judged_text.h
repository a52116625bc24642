#pragma once
// The input of a reward model with a scalar head, as token ids: the same in training and in use.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::tokenizer {

struct JudgedText {
  // ends with the user's turn; empty: only the response is judged
  std::vector<data::Message> question;
  std::string reference;  // the right answer; empty: unknown
  std::string response;
};

// Encodes the chat of question and response by the model's template, without a generation prompt. A
// reference answer is appended to the question's last turn, after "\n\nReference answer: ". If the
// template is "plain", the texts follow one another, after the tokenizer's leading BOS if it has
// one, and end with `eos`. Errors: a character without a token, an empty text, a reference without
// a question.
Result<std::vector<TokenId>> encode_judged(const Tokenizer& tokenizer,
                                           const ChatTemplate& chat_template, JudgedText text,
                                           TokenId eos);

}  // namespace longshot::tokenizer
