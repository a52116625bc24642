#include "eval/suite/task_file.h"

#include <fmt/format.h>

#include "base/os/fs.h"

namespace longshot::eval {
namespace {

namespace fs = std::filesystem;

// Removes an incomplete last line, left by a process that died while it was writing.
Status cut_unfinished_line(const fs::path& path) {
  LS_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  const size_t whole = bytes.rfind('\n') + 1;  // npos + 1 is 0
  if (whole == bytes.size()) return ok_status();
  std::error_code error;
  fs::resize_file(path, whole, error);
  return error ? io_error(path.string() + ": " + error.message()) : ok_status();
}

std::string lines_of(const std::vector<OrderedJson>& rows) {
  std::string text;
  for (const OrderedJson& row : rows) text += dump_json(row) + "\n";
  return text;
}

}  // namespace

Result<std::vector<OrderedJson>> read_results(const fs::path& path) {
  LS_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  std::vector<OrderedJson> rows;
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', begin), bytes.size());
    const std::string where = fmt::format("{}:{}", path.string(), rows.size() + 1);
    LS_ASSIGN_OR_RETURN(OrderedJson row,
                        parse_ordered_json(bytes.substr(begin, end - begin), where));
    if (!row.is_object() || !row.contains("id") || !row["id"].is_string())
      return corrupt(where + ": not a row of results");
    rows.push_back(std::move(row));
    begin = end + 1;
  }
  return rows;
}

Result<TaskFile> TaskFile::open(const fs::path& path) {
  std::vector<OrderedJson> rows;
  if (fs::exists(path)) {
    LS_RETURN_IF_ERROR(cut_unfinished_line(path));
    LS_ASSIGN_OR_RETURN(rows, read_results(path));
  }
  LS_ASSIGN_OR_RETURN(AppendFile file, AppendFile::open(path));
  return TaskFile(path, std::move(file), std::move(rows));
}

Status TaskFile::append(const std::vector<OrderedJson>& rows) {
  LS_RETURN_IF_ERROR(file_.append(lines_of(rows)));
  rows_.insert(rows_.end(), rows.begin(), rows.end());
  return ok_status();
}

Status TaskFile::replace(std::vector<OrderedJson> rows) {
  LS_RETURN_IF_ERROR(write_file_atomic(path_, lines_of(rows)));
  // `file_` is still the file that the rename has removed.
  LS_ASSIGN_OR_RETURN(file_, AppendFile::open(path_));
  rows_ = std::move(rows);
  return ok_status();
}

}  // namespace longshot::eval
