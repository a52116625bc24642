#include <filesystem>
#include <string_view>

#include "base/os/fs.h"
#include "datasets/parquet.h"
#include "datasets/rows.h"

namespace longshot::datasets {
namespace {

constexpr std::string_view kParquetMagic = "PAR1";
constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";

using Use = std::function<Status(Row&&)>;

bool blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

// One JSON object per line; blank lines are allowed, anything else is an error with its line
// number.
Status read_jsonl(const std::string& path, std::string_view text, const Use& use) {
  if (text.starts_with(kUtf8Mark)) text.remove_prefix(kUtf8Mark.size());
  int line_number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++line_number;
    if (blank(line)) continue;
    std::string where = path + ":" + std::to_string(line_number);
    LS_ASSIGN_OR_RETURN(Json json, parse_json(line, where, {.max_depth = kMaxInputJsonDepth}));
    if (!json.is_object()) {
      return invalid_argument(where + ": a row must be a JSON object, this is " +
                              std::string(json.type_name()) +
                              " (one object a line, no enclosing list)");
    }
    const bool ordered = line.find("\"tool") != std::string_view::npos;
    LS_RETURN_IF_ERROR(use({std::move(json), std::move(where), ordered ? std::string(line) : ""}));
  }
  return ok_status();
}

Status parse_rows(const std::string& path, std::string_view bytes, const Use& use) {
  if (bytes.starts_with(kParquetMagic)) return read_parquet(path, bytes, use);
  if (path.ends_with(".parquet")) {
    return corrupt(path + ": not a parquet file (it does not begin with PAR1)");
  }
  if (bytes.starts_with(kGzipMagic))
    return invalid_argument(path + ": is compressed; gunzip it first");
  return read_jsonl(path, bytes, use);
}

Status read_one(const std::string& path, const Use& use) {
  std::error_code error;
  if (path != "-" && std::filesystem::is_directory(path, error))
    return invalid_argument(path + " is a directory; name the files in it");
  if (path != "-" && !std::filesystem::is_other(path, error)) {
    LS_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
    return parse_rows(path, file.bytes(), use);
  }
  // A pipe cannot be mapped, and is read once.
  LS_ASSIGN_OR_RETURN(const std::string bytes, read_file(path == "-" ? "/dev/stdin" : path));
  return parse_rows(path == "-" ? "stdin" : path, bytes, use);
}

}  // namespace

Status for_each_row(const std::vector<std::string>& files,
                    const std::function<Status(Row&& row)>& use) {
  for (const std::string& path : files) LS_RETURN_IF_ERROR(read_one(path, use));
  return ok_status();
}

Result<std::vector<Row>> read_rows(const std::vector<std::string>& files) {
  std::vector<Row> rows;
  LS_RETURN_IF_ERROR(for_each_row(files, [&](Row&& row) {
    rows.push_back(std::move(row));
    return ok_status();
  }));
  return rows;
}

}  // namespace longshot::datasets
