#pragma once
// The files of a small project of one's own, for `longshot init`: rows, a reward, a configuration,
// and a README with the commands.

#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::datasets {

struct ProjectOptions {
  std::string directory;
  // Path of the language model to train. Empty: sft.toml and its data make a tiny model, whose
  // tokens are characters.
  std::string model;
  std::string program = "longshot";  // how the commands of the README call it
};

// Writes the files into the directory, which is created if needed, and returns their names. The
// task is to sort letters; the rows are the same in every project of one kind. No problem of
// val.jsonl is in another file. invalid_argument that names the files if some of them exist
// already; then nothing is written.
Result<std::vector<std::string>> write_project(const ProjectOptions& options);

}  // namespace longshot::datasets
