#pragma once
// Rows of data sets become prompts.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"

namespace longshot::datasets {

// Which columns of a row mean what. Defaults are verl's and TRL's names.
struct ColumnMapping {
  std::string prompt = "prompt";
  std::string
      ground_truth;  // empty: reward_model.ground_truth, else ground_truth, answer, solution
  std::string data_source = "data_source";
  std::string difficulty;     // empty: extra_info.difficulty, else difficulty, else 0
  bool apply_chat_template = true;  // texts too, as the user's message
  std::string system_prompt;  // text put before every chat as a system message; empty = none
};

// Rows to prompts. A bad row is an error naming file and line. Rows with the id or the content of an
// earlier one are numbered (docs/formats.md), with one warning.
Result<std::vector<data::Prompt>> read_prompts(const std::vector<std::string>& files,
                                               const ColumnMapping& mapping);

}  // namespace longshot::datasets
