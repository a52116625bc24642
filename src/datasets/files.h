#pragma once
// The files of a data set.

#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::datasets {

// Replaces each entry that is a pattern (data/*.jsonl, part-?????-of-00064.parquet; *, ? and [abc]
// as in a shell) by the files that match, sorted by name. An entry that exists is never a pattern.
// A pattern that matches nothing is an error.
Result<std::vector<std::string>> find_files(const std::vector<std::string>& entries);

// Checks that no output is one of the input files, because it would replace that file. Inputs may
// be patterns, and empty outputs are ignored. Error: invalid_argument that names the file.
Status check_outputs(const std::vector<std::string>& inputs,
                     const std::vector<std::string>& outputs);

}  // namespace longshot::datasets
