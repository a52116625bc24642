#pragma once
// Prompts as the policy sees them: token ids.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "datasets/prompts.h"
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

// Prompts of `files`, tokenized; too long ones are left out with a warning. No prompt left is an error.
Result<std::vector<data::Prompt>> load_prompts(const std::vector<std::string>& files,
                                               const ColumnMapping& columns, int max_prompt_length,
                                               const tokenizer::Tokenizer& tokenizer,
                                               const tokenizer::ChatTemplate& chat_template);

}  // namespace longshot::datasets
