#pragma once
// Parquet files as JSON rows. Arrow's headers stay behind this border.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "prompts/prompts.h"

namespace longshot::prompts {

// Structs and string-keyed maps become objects, lists arrays, decimals, dates and times strings. A
// null member of a struct is left out: the file's one type has every member of every row, so null
// means "this row has none". The index column that pandas adds is left out too. Rows count from 1:
// "train.parquet, row 12". `path` names the file in errors, `bytes` is its content.
Result<std::vector<Row>> read_parquet(const std::string& path, std::string_view bytes);

}  // namespace longshot::prompts
