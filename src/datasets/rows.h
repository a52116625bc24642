#pragma once
// The rows of JSONL and parquet files as JSON objects.

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::datasets {

// A row of a JSONL or parquet file as a JSON object, with where it stands ("file.jsonl:12").
struct Row {
  Json json;
  std::string where;
  // The line itself where it mentions tools: chat templates write the keys of tools in their order.
  std::string text = {};
};
// Hands over the rows of the files one by one, so that a large file is never in memory as JSON as a
// whole. Stops at the first error, its own or that of `use`. "-" is stdin; a FIFO is read to its
// end.
Status for_each_row(const std::vector<std::string>& files,
                    const std::function<Status(Row&& row)>& use);
// All of them.
Result<std::vector<Row>> read_rows(const std::vector<std::string>& files);

}  // namespace longshot::datasets
