#include "datasets/shard.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "base/os/fs.h"
#include "datasets/jsonl.h"
#include "datasets/parquet.h"

namespace longshot::datasets {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kParquetMagic = "PAR1";
constexpr std::string_view kGzipMagic = "\x1f\x8b";

// `head` is the beginning of the file.
Result<bool> is_parquet(const std::string& path, std::string_view head) {
  if (head.starts_with(kParquetMagic)) return true;
  if (path.ends_with(".parquet"))
    return corrupt(path + ": not a parquet file (it does not begin with PAR1)");
  if (head.starts_with(kGzipMagic))
    return invalid_argument(path + ": is compressed; gunzip it first");
  return false;
}

Result<std::unique_ptr<ShardReader>> open_pipe(const std::string& path) {
  LS_ASSIGN_OR_RETURN(std::string bytes, read_file(path == "-" ? "/dev/stdin" : path));
  const std::string name = path == "-" ? "stdin" : path;
  LS_ASSIGN_OR_RETURN(const bool parquet, is_parquet(name, bytes));
  if (parquet) return open_parquet_bytes(name, std::move(bytes));
  const auto size = static_cast<int64_t>(bytes.size());
  return read_jsonl(name, std::make_unique<std::istringstream>(std::move(bytes)), size);
}

Status cannot_open(const std::string& path, int error) {
  std::string message = fmt::format("cannot open {}: {}", path, std::strerror(error));
  return error == ENOENT ? not_found(std::move(message)) : io_error(std::move(message));
}

}  // namespace

Result<std::unique_ptr<ShardReader>> open_shard(const std::string& path) {
  std::error_code error;
  if (path == "-" || fs::is_other(path, error)) return open_pipe(path);
  if (fs::is_directory(path, error)) {
    return invalid_argument(fmt::format(
        "{0} is a directory; name the files in it: {0}/*.jsonl or {0}/*.parquet", path));
  }
  auto file = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!file->is_open()) return cannot_open(path, errno);
  std::string head(kParquetMagic.size(), '\0');
  file->read(head.data(), static_cast<std::streamsize>(head.size()));
  LS_ASSIGN_OR_RETURN(const bool parquet, is_parquet(path, head));
  if (parquet) return open_parquet(path);
  file->clear();
  file->seekg(0);
  const auto size = static_cast<int64_t>(fs::file_size(path, error));
  if (error) return io_error(fmt::format("{}: {}", path, error.message()));
  return read_jsonl(path, std::move(file), size);
}

}  // namespace longshot::datasets
