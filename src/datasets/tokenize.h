#pragma once
// Prompts as the policy sees them: token ids.

#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::datasets {

// Fills Prompt::tokens by the chat template. A text is the user's message where the model has a
// template and `apply_chat_template` is set, which a warning counts; else it is encoded as it is,
// with leading BOS where the tokenizer has one. Prompts longer than max_prompt_length are dropped and counted in `dropped` (verl's
// filter_overlong_prompts).
Status tokenize_prompts(std::vector<data::Prompt>& prompts, const tokenizer::Tokenizer& tokenizer,
                        const tokenizer::ChatTemplate& chat_template, int max_prompt_length,
                        int* dropped, bool apply_chat_template = true);

}  // namespace longshot::datasets
