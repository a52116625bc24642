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
  std::string system_prompt;        // system message put before every chat; empty = none
};

// Converts one row. Errors name its place. An id that another row has too is not changed.
Result<data::Prompt> parse_prompt(const Row& row, const ColumnMapping& mapping);

// Converts rows to prompts. A bad row is an error that names file and line. Rows with the id or the
// content of an earlier row get numbered ids (docs/formats.md), with one warning.
Result<std::vector<data::Prompt>> read_prompts(const std::vector<std::string>& files,
                                               const ColumnMapping& mapping);

}  // namespace longshot::datasets
