#pragma once
// Reads parquet files as JSON rows. Only parquet.cc includes Arrow's headers.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "datasets/rows.h"

namespace longshot::datasets {

// Structs and string-keyed maps become objects, lists arrays, decimals, dates and times strings. A
// null member of a struct is left out: the file has one type with the members of all rows, so null
// means that this row has none. The index column that pandas adds is left out too. Rows are
// numbered from 1: "train.parquet, row 12". `path` names the file in errors, `bytes` is its
// content. Rows are passed to `use` one by one; its error ends the reading.
Status read_parquet(const std::string& path, std::string_view bytes,
                    const std::function<Status(Row&& row)>& use);

}  // namespace longshot::datasets
