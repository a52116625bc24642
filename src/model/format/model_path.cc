#include "model/format/model_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "base/log.h"
#include "base/os/fs.h"
#include "tokenizer/tokenizer_files.h"

namespace longshot::model {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCheckpoint = "global_step_";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool holds_model(const fs::path& directory) {
  return is_there(directory / "config.json") || is_there(directory / "adapter_config.json");
}

// The model in a checkpoint, or in the run folder of `sft` or `rm`.
std::optional<fs::path> model_below(const fs::path& directory) {
  for (const char* name : {"huggingface", "adapter"}) {
    if (holds_model(directory / name)) return directory / name;
  }
  return {};
}

std::optional<int64_t> number_of(std::string_view text) {
  int64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

// Iterations with a checkpoint, in the order in which they are tried.
std::vector<int64_t> checkpoints(const fs::path& run) {
  std::vector<int64_t> found;
  std::error_code error;
  for (fs::directory_iterator it(run, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(kCheckpoint)) continue;
    if (const auto number = number_of(std::string_view(name).substr(kCheckpoint.size())))
      found.push_back(*number);
  }
  std::sort(found.rbegin(), found.rend());
  const auto latest = read_file(run / "latest_checkpointed_iteration.txt");
  if (!latest.ok()) return found;
  const auto named = number_of(latest->substr(0, latest->find_last_not_of(" \n\r\t") + 1));
  const auto at = named ? std::find(found.begin(), found.end(), *named) : found.end();
  if (at != found.end()) std::rotate(found.begin(), at, at + 1);
  return found;
}

std::optional<fs::path> model_of_run(const fs::path& run) {
  for (const int64_t iteration : checkpoints(run)) {
    const auto model = model_below(run / fmt::format("{}{}", kCheckpoint, iteration));
    if (model) return model;
  }
  return {};
}

void tell_once(const std::string& path, const std::string& taken) {
  static std::mutex mutex;
  static std::set<std::string> told;
  std::lock_guard lock(mutex);
  if (told.insert(path + " " + taken).second) log::info("{}: taking {}", path, taken);
}

}  // namespace

Result<std::string> find_model(const std::string& path) {
  std::error_code ignored;
  if (!is_there(path)) return not_found("there is no model '" + path + "'");
  if (!fs::is_directory(path, ignored) || holds_model(path) || tokenizer::holds_tokenizer(path))
    return path;
  auto found = model_below(path);
  if (!found) found = model_of_run(path);
  if (!found) {
    return not_found(
        fmt::format("{} holds no model: neither config.json nor adapter_config.json is there, in "
                    "huggingface/ or adapter/, or in a checkpoint global_step_N/",
                    path));
  }
  tell_once(path, found->string());
  return found->string();
}

}  // namespace longshot::model
