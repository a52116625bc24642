#include "report/sample_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/os/fs.h"
#include "report/json_lines.h"

namespace longshot::report {
namespace {

namespace fs = std::filesystem;

std::string text_of(const Json& line, const char* key) {
  const auto it = line.find(key);
  return it != line.end() && it->is_string() ? it->get<std::string>() : "";
}

// Keeps only the keys that the page shows, each with the type that it expects.
Json page_sample(const Json& line, const SampleLimits& limits) {
  const auto number = [&](const char* key) {
    const auto it = line.find(key);
    return it != line.end() && it->is_number() ? *it : Json(nullptr);
  };
  Json sample;
  for (const char* key :
       {"prompt_id", "prompt", "response", "answer", "ground_truth", "finish", "error"}) {
    sample[key] = shortened(text_of(line, key), limits.text);
  }
  for (const char* key : {"step", "score", "tokens"}) sample[key] = number(key);
  sample["part"] = line.value("part", Json()) == Json("held-out") ? "held-out" : "training";
  sample["correct"] = line.value("correct", Json(false)) == Json(true);
  const auto components = line.find("components");
  sample["components"] =
      components != line.end() && components->is_object() ? *components : Json::object();
  return sample;
}

// The samples of each prompt, in the order of the file. A line without an id is a group of its own.
std::vector<std::vector<Json>> groups_of(std::vector<Json> lines) {
  std::vector<std::vector<Json>> groups;
  std::map<std::string, size_t> group_of;
  for (Json& line : lines) {
    const std::string id = text_of(line, "prompt_id");
    const auto [place, is_new] = group_of.emplace(id, groups.size());
    if (id.empty() || is_new) place->second = groups.size(), groups.emplace_back();
    groups[place->second].push_back(std::move(line));
  }
  return groups;
}

// Reads the files from the newest to the oldest. Each of them adds an equal share of the samples to
// what may be taken; what a file leaves is for the older ones.
class Chooser {
 public:
  Chooser(size_t files, const SampleLimits& limits, RunData& run)
      : files_(static_cast<int64_t>(files)), limits_(limits), run_(run) {}

  Status read(const fs::path& path) {
    may_take_ += std::max(0, limits_.count);
    const bool newest = chosen_.empty() && limits_.count > 0;
    if (!newest && may_take_ < files_ * group_size_) {
      LS_ASSIGN_OR_RETURN(const int64_t lines, count_lines(path));
      run_.sample_count += lines;
      return ok_status();
    }
    std::vector<Json> lines;
    LS_RETURN_IF_ERROR(for_each_object(
        path, [&](Json&& line) { lines.push_back(std::move(line)); }, run_.notes));
    run_.sample_count += static_cast<int64_t>(lines.size());
    if (!lines.empty()) take(groups_of(std::move(lines)), newest);
    return ok_status();
  }

  // The oldest file's samples first.
  void finish() {
    for (auto file = chosen_.rbegin(); file != chosen_.rend(); ++file)
      for (Json& sample : *file) run_.samples.push_back(std::move(sample));
  }

 private:
  void take(const std::vector<std::vector<Json>>& groups, bool newest) {
    size_t largest = 1;
    for (const auto& group : groups) largest = std::max(largest, group.size());
    group_size_ = static_cast<int64_t>(largest);
    const auto room = static_cast<size_t>(std::max<int64_t>(0, may_take_ / files_ / group_size_));
    std::vector<Json> samples;
    for (const size_t g : evenly_spread(groups.size(), std::max<size_t>(room, newest ? 1 : 0)))
      for (const size_t i : evenly_spread(groups[g].size(), static_cast<size_t>(limits_.count)))
        samples.push_back(page_sample(groups[g][i], limits_));
    may_take_ -= files_ * static_cast<int64_t>(samples.size());
    if (!samples.empty()) chosen_.push_back(std::move(samples));
  }

  const int64_t files_;
  const SampleLimits& limits_;
  RunData& run_;
  int64_t may_take_ = 0;    // samples, times files_
  int64_t group_size_ = 1;  // of the file before, which is all that is known of one not yet read
  std::vector<std::vector<Json>> chosen_;  // by file
};

}  // namespace

Status read_samples(const fs::path& folder, const SampleLimits& limits, RunData& run) {
  LS_ASSIGN_OR_RETURN(std::vector<std::string> files, list_files(folder));
  std::erase_if(files,
                [](const std::string& name) { return fs::path(name).extension() != ".jsonl"; });
  Chooser chooser(files.size(), limits, run);
  for (auto file = files.rbegin(); file != files.rend(); ++file)
    LS_RETURN_IF_ERROR(chooser.read(folder / *file));
  chooser.finish();
  return ok_status();
}

std::vector<size_t> evenly_spread(size_t size, size_t count) {
  std::vector<size_t> indices;
  count = std::min(size, count);
  for (size_t i = 0; i < count; ++i) indices.push_back((i + 1) * size / count - 1);
  return indices;
}

std::string shortened(const std::string& text, size_t limit) {
  if (text.size() <= limit) return text;
  const auto is_continuation = [&](size_t at) {
    return (static_cast<uint8_t>(text[at]) & 0xc0) == 0x80;
  };
  size_t head = limit * 2 / 3, tail = text.size() - (limit - head);
  while (head > 0 && is_continuation(head)) --head;
  while (tail < text.size() && is_continuation(tail)) ++tail;
  return fmt::format("{}\n[… {} bytes left out …]\n{}", text.substr(0, head), tail - head,
                     text.substr(tail));
}

}  // namespace longshot::report
