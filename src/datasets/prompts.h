#pragma once
// Converts rows of data sets to prompts.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "datasets/rows.h"

namespace longshot::datasets {

// The meaning of a row's columns. Defaults are verl's and TRL's names.
struct ColumnMapping {
  std::string prompt = "prompt";
  // empty: reward_model.ground_truth, else ground_truth, answer, solution
  std::string ground_truth;
  std::string data_source = "data_source";
  std::string difficulty;           // empty: extra_info.difficulty, else difficulty, else 0
  bool apply_chat_template = true;  // plain texts too, which become the user's message
  // System message put before every prompt, which thereby becomes a chat. Empty: none.
  std::string system_prompt;
};

// Error: texts are to stay as they are, but a system message would turn them into chats.
Status check_system_prompt(const std::string& system_prompt, bool apply_chat_template);

// Converts one row. Errors name its place. An id that another row has too is not changed.
Result<data::Prompt> parse_prompt(const Row& row, const ColumnMapping& mapping);

// Reads what a reward sees of a row besides its prompt and the response: data source, ground truth,
// and all columns without another place as extra_info. False if the row has no ground truth. Errors
// name its place.
Result<bool> read_reward_columns(const Row& row, const ColumnMapping& mapping,
                                 data::Prompt& prompt);

// Converts rows to prompts. A bad row is an error that names file and line. Rows with the id or the
// content of an earlier row get numbered ids (docs/formats.md), with one warning. `texts` becomes
// the number of rows whose prompt is a text, before a system message turns them into chats.
Result<std::vector<data::Prompt>> read_prompts(const std::vector<std::string>& files,
                                               const ColumnMapping& mapping,
                                               size_t* texts = nullptr);

}  // namespace longshot::datasets
