#pragma once
// Training rows of selected samples, in TRL's forms: `prompt` and `completion` for `longshot sft`,
// and `prompt`, `chosen` and `rejected` for `longshot dpo` and `longshot rm`. The prompt is the one
// of the data set, without the instructions with which the model was asked. A prompt that is a chat
// gives lists of messages, a text gives texts. Further columns tell where a row comes from.

#include "base/json.h"
#include "curate/samples/judged_prompt.h"

namespace longshot::curate {

// {"prompt", "completion", "id", "data_source", "index", "score", "tokens"}
OrderedJson response_row(const JudgedPrompt& prompt, const JudgedSample& sample);

// {"prompt", "chosen", "rejected", "id", "data_source", "chosen_index", "rejected_index",
//  "chosen_score", "rejected_score", "chosen_tokens", "rejected_tokens", "rejected_correct"}
OrderedJson pair_row(const JudgedPrompt& prompt, const JudgedSample& chosen,
                     const JudgedSample& rejected);

}  // namespace longshot::curate
