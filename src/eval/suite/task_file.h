#pragma once
// The results of one task: a file with one row per problem, in the order of the task's rows, which
// grows while the task runs and from which a run continues.

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/run_log/append_file.h"
#include "base/status.h"

namespace longshot::eval {

// Reads the rows of a results file. Error: it is missing, or a line is not an object with an id.
Result<std::vector<OrderedJson>> read_results(const std::filesystem::path& path);

// Movable only. Not thread-safe.
class TaskFile {
 public:
  // Makes the file, or continues with the one that exists; a last line that was cut off is removed.
  static Result<TaskFile> open(const std::filesystem::path& path);

  const std::vector<OrderedJson>& rows() const { return rows_; }
  // The lines survive the death of the process.
  Status append(const std::vector<OrderedJson>& rows);
  // Puts `rows` in the place of all rows. After a crash the file has the old ones or the new ones.
  Status replace(std::vector<OrderedJson> rows);

 private:
  TaskFile(std::filesystem::path path, AppendFile file, std::vector<OrderedJson> rows)
      : path_(std::move(path)), file_(std::move(file)), rows_(std::move(rows)) {}
  std::filesystem::path path_;
  AppendFile file_;
  std::vector<OrderedJson> rows_;
};

}  // namespace longshot::eval
