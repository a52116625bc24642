#pragma once
// Converts prompts to the token ids that the policy sees.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "datasets/prompts.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::datasets {

// Fills Prompt::tokens by the chat template. A prompt that is a text becomes the user's message if
// the model has a template and `apply_chat_template` is set. Otherwise the text is encoded as it
// is, with the leading BOS if the tokenizer has one.
// Prompts longer than max_prompt_length are dropped and counted in `dropped` (verl's
// filter_overlong_prompts). Dropping all prompts is an error.
Status tokenize_prompts(std::vector<data::Prompt>& prompts, const tokenizer::Tokenizer& tokenizer,
                        const tokenizer::ChatTemplate& chat_template, int max_prompt_length,
                        int* dropped, bool apply_chat_template = true);

// Reads and tokenizes the prompts of `files`. Warnings give the number of prompts that are texts
// (warn_of_texts) and of those that are too long and left out. It is an error if no prompt is left.
Result<std::vector<data::Prompt>> load_prompts(const std::vector<std::string>& files,
                                               const ColumnMapping& columns, int max_prompt_length,
                                               const tokenizer::Tokenizer& tokenizer,
                                               const tokenizer::ChatTemplate& chat_template);

}  // namespace longshot::datasets
