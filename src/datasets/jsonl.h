#pragma once
// Reads JSONL: one JSON object a line. Blank lines are allowed. Anything else is an error that
// names the line.

#include <cstdint>
#include <istream>
#include <memory>
#include <string>

#include "datasets/shard.h"

namespace longshot::datasets {

// `path` names the source in errors. `in` is at its beginning, has `size` bytes and can seek.
std::unique_ptr<ShardReader> read_jsonl(const std::string& path, std::unique_ptr<std::istream> in,
                                        int64_t size);

}  // namespace longshot::datasets
