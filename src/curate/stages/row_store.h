#pragma once
// All rows of the input in the folder of a run, in two files with a line a row: rows.jsonl
// {"where", "row"} and words.txt, their words for comparisons. Later stages read rows by number.

#include <filesystem>
#include <functional>
#include <string>

#include "base/json.h"
#include "base/status.h"
#include "curate/stages/options.h"
#include "curate/text/line_file.h"

namespace longshot::curate {

// Called with the number of rows that are done.
using RowProgress = std::function<void(int64_t rows)>;

// Reads the input and writes both files, each complete or not at all. Rows with the id of an
// earlier row get ID#2, ID#3, ... Memory: a few batches of rows, and 40 bytes a row for the ids.
// Errors name the file and row; cancelled after stop_requested().
Status write_rows(const CurateOptions& options, const std::filesystem::path& folder,
                  const RowProgress& on_progress);

// Movable only. Reading is thread-safe.
class RowStore {
 public:
  static Result<RowStore> open(const std::filesystem::path& folder);

  size_t size() const { return rows_.lines(); }
  const LineFile& rows() const { return rows_; }
  const LineFile& words() const { return words_; }

  // {"where", "row"} of a row.
  Result<OrderedJson> read(size_t row) const;
  // {"where", "row": {"id", "data_source"?}} without the rest, which is faster.
  Result<OrderedJson> read_names(size_t row) const;

 private:
  RowStore(LineFile rows, LineFile words) : rows_(std::move(rows)), words_(std::move(words)) {}
  LineFile rows_, words_;
};

// The id of a row as datasets::read_prompts() gives it: DATA_SOURCE/ID.
std::string full_id(const OrderedJson& row);
// The verl row in a line of rows.jsonl as it is there, without parsing it.
std::string_view row_text(std::string_view line);

}  // namespace longshot::curate
