#pragma once
// Rows for supervised fine-tuning.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::datasets {

// One supervised row (SFT): loss on response tokens only.
// Schemas: TRL messages (every assistant turn is trained on), prompt+completion (strings or message
// lists), text (plain language modelling: all tokens but the first), verl (prompt messages +
// extra_info.answer or `response`). A prompt that is a text becomes the user's message as in
// tokenize_prompts. Rows longer than max_length tokens are left out and counted in `dropped`; it is
// an error if no row is left.
struct SupervisedExample {
  std::vector<data::TokenId> tokens;
  std::vector<uint8_t> loss_mask;  // [tokens.size()]
  std::string where;
};
Result<std::vector<SupervisedExample>> read_supervised(const std::vector<std::string>& files,
                                                       const tokenizer::Tokenizer& tokenizer,
                                                       const tokenizer::ChatTemplate& chat_template,
                                                       data::TokenId eos, int max_length,
                                                       int* dropped,
                                                       bool apply_chat_template = true);

}  // namespace longshot::datasets
