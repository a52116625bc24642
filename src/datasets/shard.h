#pragma once
// One file of rows, read from front to back or from a place in the middle.

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "datasets/rows.h"

namespace longshot::datasets {

// Where a row begins in its file.
struct Place {
  int64_t offset = 0;  // JSONL: bytes of the content; parquet: rows
  int64_t line = 1;    // JSONL: number of the line; 0: unknown, as in parquet
};

// Memory does not grow with the file. Errors name the file and the row. Not thread-safe.
class ShardReader {
 public:
  static constexpr int64_t kToTheEnd = std::numeric_limits<int64_t>::max();

  virtual ~ShardReader() = default;

  // Returns the next row that begins before the offset `end`; nullopt if there is none.
  virtual Result<std::optional<Row>> next(int64_t end = kToTheEnd) = 0;
  // Where the search for the next row begins.
  virtual Place place() const = 0;
  // Continues with the first row that begins at or after `place.offset`. What is before it is not
  // read, except in parquet files the rows of the same row group.
  virtual Status seek(const Place& place) = 0;
  // The offsets that divide the file into pieces of about `piece_bytes` bytes (JSONL) or into its
  // row groups (parquet): ascending, with 0 and the end of the file. A compressed JSONL file is one
  // piece that ends at kToTheEnd, because it can be read from its beginning only.
  virtual std::vector<int64_t> borders(int64_t piece_bytes) const = 0;
};

// Opens a JSONL or parquet file, "-" (stdin) or a FIFO. The last two are read to their end at once.
// The first bytes of a file tell its format. JSONL may be compressed with gzip; places are those of
// its content. A row whose line is unknown has the place
// "file.jsonl, byte 1234" in errors.
Result<std::unique_ptr<ShardReader>> open_shard(const std::string& path);

}  // namespace longshot::datasets
