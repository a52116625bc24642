#include "base/run_log/step_lines.h"

#include <optional>
#include <string_view>
#include <system_error>

#include "base/json.h"
#include "base/log.h"
#include "base/os/fs.h"

namespace longshot {
namespace {

Status shorten(const std::filesystem::path& path, size_t size) {
  std::error_code error;
  std::filesystem::resize_file(path, size, error);
  if (error) return io_error("cannot shorten " + path.string() + ": " + error.message());
  return ok_status();
}

// Number of bytes up to the end of the last whole line. Reads only the end of the file.
Result<size_t> whole_lines(const std::filesystem::path& path) {
  LS_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const size_t newline = file.bytes().rfind('\n');
  return newline == std::string_view::npos ? 0 : newline + 1;
}

// Size of a regular file in bytes. Returns 0 for a missing file and for anything that cannot be
// cut, such as a device.
size_t size_to_cut(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return 0;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

std::optional<int64_t> step_of(std::string_view line) {
  const auto json = parse_json(line, "line");
  if (!json.ok() || !json->is_object()) return {};
  const auto step = json->find("step");
  if (step == json->end() || !step->is_number_integer()) return {};
  return step->get<int64_t>();
}

}  // namespace

Status cut_unfinished_line(const std::filesystem::path& path) {
  const size_t size = size_to_cut(path);
  if (size == 0) return ok_status();
  LS_ASSIGN_OR_RETURN(const size_t whole, whole_lines(path));
  if (whole == size) return ok_status();
  log::warn("{}: the last line is unfinished and was cut off", path.string());
  return shorten(path, whole);
}

// Steps never fall, so the lines to drop are the last ones. A long log is therefore searched from
// its end.
Status drop_lines_after(const std::filesystem::path& path, int64_t step,
                        const std::filesystem::path& cut_off) {
  if (size_to_cut(path) == 0) return ok_status();
  size_t end = 0;
  {
    LS_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
    const std::string_view text = file.bytes();
    for (end = text.size(); end > 0;) {
      const size_t newline = end < 2 ? std::string_view::npos : text.rfind('\n', end - 2);
      const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
      const std::optional<int64_t> found = step_of(text.substr(begin, end - begin));
      if (found && *found <= step) break;
      if (!found) log::warn("{}: a damaged line near its end was dropped", path.string());
      end = begin;
    }
    if (end == text.size()) return ok_status();
    if (!cut_off.empty()) {
      LS_RETURN_IF_ERROR(make_directories(cut_off.parent_path()));
      LS_RETURN_IF_ERROR(write_file_atomic(cut_off, text.substr(end)));
    }
  }
  return shorten(path, end);
}

}  // namespace longshot
