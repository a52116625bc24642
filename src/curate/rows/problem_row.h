#pragma once
// Rows of any known form -> problems, and problems -> verl rows.

#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "curate/text/clean.h"
#include "data/types.h"
#include "datasets/rows.h"

namespace longshot::curate {

struct RowOptions {
  bool clean = true;  // clean_text() and clean_answer()
  TextForm form = TextForm::nfc;
  std::string prompt_column;  // empty: the first of prompt, problem, question, query, instruction
  std::string answer_column;  // empty: reward_model.ground_truth, ground_truth, answer, solution
  std::string data_source;    // of rows without one
  // Texts that many rows share, such as an instruction for the form of the answer. They are left
  // out of comparisons and stay in the prompt.
  std::vector<std::string> ignore;
};

// Reads and cleans a row. Errors name its place. Thread-safe.
Result<data::Prompt> parse_problem(const datasets::Row& row, const RowOptions& options);

// What the user's turns say.
std::string whole_text(const data::Prompt& problem);
// Its words for comparisons (curate/text/words.h), without the ignored texts.
std::string problem_words(const data::Prompt& problem, const RowOptions& options);

// A verl row: id, data_source, prompt (messages), reward_model, extra_info. Reading it again with
// datasets::read_prompts() gives the same id.
OrderedJson verl_row(const data::Prompt& problem);

}  // namespace longshot::curate
