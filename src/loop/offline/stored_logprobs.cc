#include "loop/offline/stored_logprobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/os/clock.h"
#include "base/os/fs.h"
#include "base/os/stop.h"
#include "base/progress_line.h"

namespace longshot::loop {
namespace {

using train::PairLogprobs;
using train::PairSequences;

// With writes of more than 0.1 s the time between them becomes longer.
constexpr double kSlowWrite = 10;
constexpr char kFormat[] = "longshot pair log-probabilities 1";
static_assert(sizeof(PairLogprobs) == 2 * sizeof(double));

std::string_view bytes_of(const std::vector<PairLogprobs>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(PairLogprobs)};
}

std::string hex(uint64_t value) {
  return fmt::format("{:016x}", value);
}

// Of the header without its checksum, and of the values.
std::string checksum_text(const Json& header, std::string_view values) {
  return hex(checksum(dump_json(header) + std::string(values)));
}

Status write(const StoredLogprobsOptions& options, size_t count,
             const std::vector<PairLogprobs>& values) {
  Json header = {{"format", kFormat},
                 {"model", options.key.model},
                 {"rows", hex(options.key.rows)},
                 {"pairs", count},
                 {"computed", values.size()}};
  header["xxh3"] = checksum_text(header, bytes_of(values));
  return write_file_atomic(options.path, dump_json(header) + "\n" + std::string(bytes_of(values)));
}

// True if no member that both have differs.
bool agree(const Json& a, const Json& b) {
  for (const auto& [key, value] : a.items())
    if (b.contains(key) && b[key] != value) return false;
  return true;
}

struct StoredFile {
  Json model;
  std::string rows;
  std::vector<PairLogprobs> values;
};

Status damaged(const std::string& path) {
  return corrupt(path + " is damaged; remove it to compute its log-probabilities again");
}

// Returns nullopt without a file.
Result<std::optional<StoredFile>> read(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::optional<StoredFile>();
  LS_ASSIGN_OR_RETURN(const std::string content, read_file(path));
  const size_t line = content.find('\n');
  if (line == std::string::npos) return damaged(path);
  auto header = parse_json(content.substr(0, line), path);
  if (!header.ok() || !header->is_object()) return damaged(path);
  const Json sum = header->value("xxh3", Json());
  header->erase("xxh3");
  const std::string_view values = std::string_view(content).substr(line + 1);
  if (sum != checksum_text(*header, values)) return damaged(path);
  StoredFile file;
  LS_ASSIGN_OR_RETURN(file.model, json_get<Json>(*header, "model", path));
  LS_ASSIGN_OR_RETURN(file.rows, json_get<std::string>(*header, "rows", path));
  file.values.resize(values.size() / sizeof(PairLogprobs));
  std::memcpy(file.values.data(), values.data(), values.size());
  return std::optional(std::move(file));
}

// Returns what the file has for these pairs, empty if there is nothing.
Result<std::vector<PairLogprobs>> reusable(size_t count, const StoredLogprobsOptions& options) {
  LS_ASSIGN_OR_RETURN(std::optional<StoredFile> file, read(options.path));
  if (!file) return std::vector<PairLogprobs>();
  const bool same_model = agree(options.key.model, file->model),
             same_rows = hex(options.key.rows) == file->rows && file->values.size() <= count;
  if (same_model && same_rows) return std::move(file->values);
  const char* changed = same_model ? "the rows have" : "the reference model has";
  if (options.continued) {
    return invalid_argument(fmt::format(
        "{}: {} changed since the {} were computed; set that back to continue this run, or name "
        "another trainer.default_local_dir",
        options.path, changed, options.what));
  }
  log::info("{} changed: the {} are computed again", changed, options.what);
  return std::vector<PairLogprobs>();
}

// The end of the chunk that begins at `begin`.
size_t chunk_end(const std::vector<PairSequences>& pairs, size_t begin, int64_t most) {
  int64_t tokens = 0;
  size_t end = begin;
  while (end < pairs.size() && (end == begin || tokens + pairs[end].length() <= most))
    tokens += pairs[end++].length();
  return end;
}

}  // namespace

uint64_t checksum_of(const std::vector<PairSequences>& pairs) {
  std::string sums;
  const auto add = [&](const auto& values) {
    const uint64_t sum =
        checksum({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])});
    sums.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
  };
  for (const PairSequences& pair : pairs) {
    for (const train::PairSide* side : {&pair.chosen, &pair.rejected}) {
      add(side->tokens);
      add(side->mask);
    }
  }
  return checksum(sums);
}

Result<std::vector<PairLogprobs>> stored_logprobs(const std::vector<PairSequences>& pairs,
                                                  const StoredLogprobsOptions& options,
                                                  const ComputeLogprobs& compute) {
  LS_ASSIGN_OR_RETURN(std::vector<PairLogprobs> values, reusable(pairs.size(), options));
  if (values.size() == pairs.size()) return values;
  ProgressLine progress;
  progress.start(static_cast<int64_t>(values.size()), static_cast<int64_t>(pairs.size()));
  Stopwatch since_write;
  double interval = options.save_seconds;
  while (values.size() < pairs.size()) {
    const size_t end = chunk_end(pairs, values.size(), options.chunk_tokens);
    const auto begin = pairs.begin();
    LS_ASSIGN_OR_RETURN(
        const std::vector<PairLogprobs> chunk,
        compute({begin + static_cast<long>(values.size()), begin + static_cast<long>(end)}));
    values.insert(values.end(), chunk.begin(), chunk.end());
    const bool stop = stop_requested() && values.size() < pairs.size();
    if (stop || values.size() == pairs.size() || since_write.seconds() >= interval) {
      const Stopwatch writing;
      LS_RETURN_IF_ERROR(write(options, pairs.size(), values));
      interval = options.save_seconds * std::max(1.0, kSlowWrite * writing.seconds());
      since_write = Stopwatch();
    }
    progress.update(static_cast<int64_t>(values.size()), options.what);
    if (!stop) continue;
    progress.clear();
    return cancelled(fmt::format("stopped after {} of {} pairs of the {}, which are saved",
                                 values.size(), pairs.size(), options.what));
  }
  progress.finish(static_cast<int64_t>(values.size()), options.what);
  return values;
}

}  // namespace longshot::loop
