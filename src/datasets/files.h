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

}  // namespace longshot::datasets
