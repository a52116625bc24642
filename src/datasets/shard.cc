#include "datasets/shard.h"

#include <fmt/format.h>

#include <filesystem>
#include <string_view>

#include "base/os/fs.h"
#include "datasets/jsonl.h"
#include "datasets/parquet.h"
#include "datasets/text_source.h"

namespace longshot::datasets {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kParquetMagic = "PAR1";
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";

// `head` is the beginning of the content.
Result<bool> is_parquet(const std::string& path, std::string_view head, bool compressed) {
  if (head.starts_with(kParquetMagic) && compressed)
    return invalid_argument(path + ": is a parquet file inside a gzip file; gunzip it first");
  if (head.starts_with(kParquetMagic)) return true;
  if (path.ends_with(".parquet"))
    return corrupt(path + ": not a parquet file (it does not begin with PAR1)");
  if (head.starts_with(kZstdMagic)) {
    return invalid_argument(path +
                            ": is compressed with zstd, which is not read; unpack it with unzstd, "
                            "or compress it with gzip");
  }
  return false;
}

// Reads the beginning of the content and goes back to it.
Result<std::string> head_of(const std::string& path, TextSource& text) {
  std::string head(kParquetMagic.size(), '\0');
  std::istream& in = text.stream();
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  LS_RETURN_IF_ERROR(text.status().with_context(path));
  in.clear();
  in.seekg(0);
  return head;
}

Result<std::unique_ptr<ShardReader>> open_pipe(const std::string& path) {
  LS_ASSIGN_OR_RETURN(std::string bytes, read_file(path == "-" ? "/dev/stdin" : path));
  const std::string name = path == "-" ? "stdin" : path;
  if (bytes.starts_with(kParquetMagic)) return open_parquet_bytes(name, std::move(bytes));
  LS_ASSIGN_OR_RETURN(TextSource text, TextSource::from_bytes(name, std::move(bytes)));
  LS_ASSIGN_OR_RETURN(const std::string head, head_of(name, text));
  LS_RETURN_IF_ERROR(is_parquet(name, head, text.compressed()).status());
  return read_jsonl(name, std::move(text), std::nullopt);
}

}  // namespace

Result<std::unique_ptr<ShardReader>> open_shard(const std::string& path) {
  std::error_code error;
  if (path == "-" || fs::is_other(path, error)) return open_pipe(path);
  if (fs::is_directory(path, error)) {
    return invalid_argument(fmt::format(
        "{0} is a directory; name the files in it: {0}/*.jsonl or {0}/*.parquet", path));
  }
  LS_ASSIGN_OR_RETURN(TextSource text, TextSource::open(path));
  LS_ASSIGN_OR_RETURN(const std::string head, head_of(path, text));
  LS_ASSIGN_OR_RETURN(const bool parquet, is_parquet(path, head, text.compressed()));
  if (parquet) return open_parquet(path);
  if (text.compressed()) return read_jsonl(path, std::move(text), std::nullopt);
  const auto size = static_cast<int64_t>(fs::file_size(path, error));
  if (error) return io_error(fmt::format("{}: {}", path, error.message()));
  return read_jsonl(path, std::move(text), size);
}

}  // namespace longshot::datasets
