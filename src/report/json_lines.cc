#include "report/json_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <system_error>

#include "base/os/fs.h"

namespace longshot::report {
namespace {

namespace fs = std::filesystem;

std::string damage_note(const fs::path& path, const std::vector<size_t>& lines) {
  if (lines.size() == 1)
    return fmt::format("{}: line {} is damaged and was left out", path.string(), lines[0]);
  return fmt::format("{}: {} damaged lines were left out, the first is line {}", path.string(),
                     lines.size(), lines[0]);
}

}  // namespace

Status for_each_object(const fs::path& path, const std::function<void(Json&&)>& use,
                       std::vector<std::string>& notes) {
  std::error_code error;
  if (fs::exists(path, error) && !fs::is_regular_file(path, error))
    return io_error(path.string() + " is not a regular file");
  std::ifstream file(path, std::ios::binary);
  if (!file) return io_error("cannot open " + path.string());
  std::vector<size_t> damaged;
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    auto json = parse_json(line, "line");
    if (json.ok() && json->is_object()) {
      use(std::move(*json));
    } else if (!line.empty()) {
      damaged.push_back(number);
    }
  }
  if (file.bad()) return io_error("cannot read " + path.string());
  if (!damaged.empty()) notes.push_back(damage_note(path, damaged));
  return ok_status();
}

Result<int64_t> count_lines(const fs::path& path) {
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return std::count(text.begin(), text.end(), '\n');
}

}  // namespace longshot::report
