#pragma once
// The rows of a task as prompts for a model.

#include <string>
#include <vector>

#include "data/types.h"
#include "eval/suite/suite.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::eval {

struct Item {
  data::Prompt prompt;               // tokenized; extra_info is the row
  std::vector<std::string> choices;  // in the order that the model sees
  int right = -1;                    // index of the right choice; -1 without choices
  // likelihood: for each choice the tokens after the prompt's.
  std::vector<std::vector<data::TokenId>> continuations;
  std::vector<int> lengths;  // characters of these texts without the white space before them
};

struct Items {
  std::vector<Item> items;
  int left_out = 0;        // rows that do not fit the model's context
  int longest_prompt = 0;  // tokens
  int longest_answer = 0;  // tokens of a continuation, or max_tokens
  int64_t prompt_tokens = 0, continuation_tokens = 0;
};

// Reads at most `max_rows` rows (0: all). A row whose prompt and response exceed `max_sequence`
// tokens is left out. A prompt of kind likelihood and its continuation are tokenized as
// lm-evaluation-harness does: both together, so that the border is between tokens of the joint
// text; white space at the end of the prompt belongs to the continuation. Error: invalid_argument
// that names the file, line and column; two rows with the same id are one.
Result<Items> load_items(const Task& task, const tokenizer::Tokenizer& tokenizer,
                         const tokenizer::ChatTemplate& chat_template, int max_sequence,
                         int max_rows);

}  // namespace longshot::eval
