#pragma once
// Writes the files of a native task for `longshot data make`.

#include <cstdint>
#include <string>

#include "base/spelling.h"
#include "base/status.h"

namespace longshot::datasets {

// The form of the rows of train.jsonl and val.jsonl.
enum class RowFormat { verl, trl };

constexpr auto spellings(RowFormat) {
  using enum RowFormat;
  return std::to_array<Spelling<RowFormat>>({{verl, "verl"}, {trl, "trl"}});
}

enum class Style {
  characters,  // for a model whose tokens are the characters of alphabet.txt
  text,        // chats in English
};

constexpr auto spellings(Style) {
  using enum Style;
  return std::to_array<Spelling<Style>>({{characters, "char"}, {text, "text"}});
}

struct MakeOptions {
  std::string task;
  std::string directory;
  int train = 4096, val = 256, sft = 4096;  // rows; 0 = no such file
  int low_level = 0, high_level = 0;        // 0 = the task's default
  uint64_t seed = 0;
  RowFormat format = RowFormat::verl;
  Style style = Style::characters;
};

// Writes train.jsonl, val.jsonl, sft.jsonl (prompt + completion) and, for Style::characters,
// alphabet.txt. A task that judges answers also gives rm.jsonl and rm_val.jsonl: the claims of
// sft.jsonl and val.jsonl as rows for a reward model. No problem occurs twice in a file, except
// in sft.jsonl with another completion if the task has many for a problem; none of val.jsonl occurs
// in another file: a hash of its content decides whether a problem is for
// validation. If there are too few different problems at these levels, the error says how many
// there are.
Status make_data(const MakeOptions& options);

}  // namespace longshot::datasets
