#pragma once
// Writes the files of a native task for `longshot data make`.

#include <cstdint>
#include <string>

#include "base/status.h"

namespace longshot::datasets {

struct MakeOptions {
  std::string task;
  std::string directory;
  int train = 4096, val = 256, sft = 4096;  // rows; 0 = no such file
  int low_level = 0, high_level = 0;        // 0 = the task's default
  uint64_t seed = 0;
  std::string format = "verl";  // of train and val: "verl" or "trl"
  std::string style = "char";   // "char" or "text"
};

// Writes train.jsonl, val.jsonl, sft.jsonl (prompt + completion) and, for style "char",
// alphabet.txt. A task that judges answers also gives rm.jsonl and rm_val.jsonl: the claims of
// sft.jsonl and val.jsonl as rows for a reward model. No problem occurs twice in a file, and none
// of val.jsonl occurs in another file: a hash of its content decides whether a problem is for
// validation. If there are too few different problems at these levels, the error says how many
// there are.
Status make_data(const MakeOptions& options);

}  // namespace longshot::datasets
