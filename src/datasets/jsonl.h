#pragma once
// Reads JSONL: one JSON object a line. Blank lines are allowed. Anything else is an error that
// names the line.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "datasets/shard.h"
#include "datasets/text_source.h"

namespace longshot::datasets {

// `path` names the source in errors. `text` is at its beginning. `size` is that of its content;
// nullopt if only reading it tells, which makes the file a single piece.
std::unique_ptr<ShardReader> read_jsonl(const std::string& path, TextSource text,
                                        std::optional<int64_t> size);

}  // namespace longshot::datasets
