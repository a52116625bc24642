#pragma once
// Reads parquet files as JSON rows. Only parquet.cc includes Arrow's headers.

#include <memory>
#include <string>

#include "datasets/shard.h"

namespace longshot::datasets {

// Structs and string-keyed maps become objects, lists arrays, decimals, dates and times strings. A
// null member of a struct is left out: the file has one type with the members of all rows, so null
// means that this row has none. The index column that pandas adds is left out too. Rows are
// numbered from 1: "train.parquet, row 12". Pages are decoded as they are read; a row group is
// never in memory as a whole.
Result<std::unique_ptr<ShardReader>> open_parquet(const std::string& path);
// The same from memory; `path` names the source in errors.
Result<std::unique_ptr<ShardReader>> open_parquet_bytes(const std::string& path, std::string bytes);

}  // namespace longshot::datasets
