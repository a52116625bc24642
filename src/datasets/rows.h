#pragma once
// The rows of JSONL and parquet files as JSON objects.

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::datasets {

// A row of a JSONL or parquet file as a JSON object, with its place ("file.jsonl:12").
struct Row {
  Json json;
  std::string where;
  // The line itself if it mentions tools: chat templates write the keys of tools in the order of
  // the line.
  std::string text = {};
};
// Passes the rows of the files to `use` one by one, so that a large file is never in memory as a
// whole. Stops at the first error, of reading or of `use`. "-" is stdin; a FIFO is read to its end.
// A name may be a pattern (datasets/files.h).
Status for_each_row(const std::vector<std::string>& files,
                    const std::function<Status(Row&& row)>& use);
// Returns all rows.
Result<std::vector<Row>> read_rows(const std::vector<std::string>& files);

}  // namespace longshot::datasets
