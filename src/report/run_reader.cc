#include "report/run_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <system_error>

#include "base/os/fs.h"

namespace longshot::report {
namespace {

namespace fs = std::filesystem;

// Calls `use` with each line that is a JSON object; returns the numbers of the other lines that are
// not empty. Reads one line at a time, because a long run's file is larger than the data kept from
// it.
Result<std::vector<size_t>> for_each_object(const fs::path& path,
                                            const std::function<void(Json&&)>& use) {
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
  return damaged;
}

Result<int64_t> count_lines(const fs::path& path) {
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return std::count(text.begin(), text.end(), '\n');
}

void note_damage(const fs::path& path, const std::vector<size_t>& lines, RunData& run) {
  if (lines.empty()) return;
  run.notes.push_back(
      lines.size() == 1
          ? fmt::format("{}: line {} is damaged and was left out", path.string(), lines[0])
          : fmt::format("{}: {} damaged lines were left out, the first is line {}", path.string(),
                        lines.size(), lines[0]));
}

double number_of(const Json& value) {
  if (!value.is_number()) return kNoValue;
  const double number = value.get<double>();
  return std::isfinite(number) ? number : kNoValue;
}

// The figures of metrics.jsonl: a row for each line, a column for each name.
struct Figures {
  std::map<int64_t, size_t> row_of;  // by step; the later of two lines about one step
  std::map<std::string, size_t> column_of;
  std::vector<std::vector<double>> rows;  // only the columns known when the line was read
  int64_t without_step = 0;

  void add(const Json& line) {
    const auto step = line.find("step");
    if (step == line.end() || !step->is_number_integer()) {
      ++without_step;
      return;
    }
    std::vector<double> row(column_of.size(), kNoValue);
    for (const auto& [name, value] : line.items()) {
      if (name == "step") continue;
      const size_t column = column_of.emplace(name, column_of.size()).first->second;
      if (row.size() <= column) row.resize(column + 1, kNoValue);
      row[column] = number_of(value);
    }
    row_of[step->get<int64_t>()] = rows.size();
    rows.push_back(std::move(row));
  }
};

// The mean of some values; missing ones are left out.
class Average {
 public:
  void add(double value) {
    if (std::isnan(value)) return;
    sum_ += value;
    ++count_;
  }
  double value() const { return count_ == 0 ? kNoValue : sum_ / static_cast<double>(count_); }

 private:
  double sum_ = 0;
  int64_t count_ = 0;
};

// Adds one point for each `together` steps: their mean, at the last of them.
void fill_metrics(const Figures& figures, size_t together, RunData& run) {
  std::vector<Average> means(figures.column_of.size());
  size_t held = 0, seen = 0;
  for (const auto& [step, row] : figures.row_of) {
    const std::vector<double>& values = figures.rows[row];
    for (size_t c = 0; c < values.size(); ++c) means[c].add(values[c]);
    ++seen;
    if (++held < together && seen < figures.row_of.size()) continue;
    run.steps.push_back(step);
    for (const auto& [name, column] : figures.column_of)
      run.metrics[name].push_back(means[column].value());
    means.assign(means.size(), {});
    held = 0;
  }
}

Status read_metrics(const fs::path& path, RunData& run) {
  Figures figures;
  LS_ASSIGN_OR_RETURN(const auto damaged,
                      for_each_object(path, [&](Json&& line) { figures.add(line); }));
  note_damage(path, damaged, run);
  if (figures.without_step > 0) {
    run.notes.push_back(fmt::format("{}: {} lines have no step and were left out", path.string(),
                                    figures.without_step));
  }
  const size_t together = (figures.row_of.size() + kMaxPoints - 1) / kMaxPoints;
  if (together > 1) {
    run.notes.push_back(
        fmt::format("{}: a point of the charts is the mean of {} steps", path.string(), together));
  }
  fill_metrics(figures, together, run);
  return ok_status();
}

// Keeps only the keys that the page shows, each with the type that it expects.
Json page_sample(const Json& line, const SampleLimits& limits) {
  const auto text = [&](const char* key) {
    const auto it = line.find(key);
    return it != line.end() && it->is_string() ? shortened(it->get<std::string>(), limits.text)
                                               : std::string();
  };
  const auto number = [&](const char* key) {
    const auto it = line.find(key);
    return it != line.end() && it->is_number() ? *it : Json(nullptr);
  };
  Json sample;
  for (const char* key :
       {"prompt_id", "prompt", "response", "answer", "ground_truth", "finish", "error"}) {
    sample[key] = text(key);
  }
  for (const char* key : {"step", "score", "tokens"}) sample[key] = number(key);
  sample["part"] = line.value("part", Json()) == Json("held-out") ? "held-out" : "training";
  sample["correct"] = line.value("correct", Json(false)) == Json(true);
  const auto components = line.find("components");
  sample["components"] =
      components != line.end() && components->is_object() ? *components : Json::object();
  return sample;
}

Status read_samples(const fs::path& folder, const SampleLimits& limits, RunData& run) {
  LS_ASSIGN_OR_RETURN(std::vector<std::string> files, list_files(folder));
  files.erase(std::remove_if(
                  files.begin(), files.end(),
                  [](const std::string& name) { return fs::path(name).extension() != ".jsonl"; }),
              files.end());
  const size_t budget = static_cast<size_t>(std::max(0, limits.count));
  std::vector<bool> wanted(files.size(), false);
  for (const size_t index : evenly_spread(files.size(), budget)) wanted[index] = true;
  const size_t per_file = files.empty() ? 0 : std::max<size_t>(1, budget / files.size());
  for (size_t i = 0; i < files.size(); ++i) {
    const fs::path path = folder / files[i];
    if (!wanted[i]) {
      LS_ASSIGN_OR_RETURN(const int64_t lines, count_lines(path));
      run.sample_count += lines;
      continue;
    }
    std::vector<Json> lines;
    LS_ASSIGN_OR_RETURN(const auto damaged, for_each_object(path, [&](Json&& line) {
                          lines.push_back(std::move(line));
                        }));
    note_damage(path, damaged, run);
    run.sample_count += static_cast<int64_t>(lines.size());
    for (const size_t index : evenly_spread(lines.size(), per_file)) {
      run.samples.push_back(page_sample(lines[index], limits));
    }
  }
  return ok_status();
}

std::string name_of(const fs::path& folder) {
  const fs::path full = fs::absolute(folder).lexically_normal();
  return (full.has_filename() ? full : full.parent_path()).filename().string();
}

// Names the runs one level below, since a folder of runs is often given by mistake.
Status no_run(const fs::path& folder) {
  std::string found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (fs::exists(entry.path() / "metrics.jsonl", ignored)) found += " " + entry.path().string();
  }
  return not_found(folder.string() +
                   " has no metrics.jsonl and no samples/, so it is not a run folder" +
                   (found.empty() ? "" : "; below it are these runs:" + found));
}

}  // namespace

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

Result<RunData> read_run(const fs::path& folder, const SampleLimits& limits) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return not_found(folder.string() + " is not a folder");
  const fs::path metrics = folder / "metrics.jsonl", samples = folder / "samples";
  if (!fs::exists(metrics, ignored) && !fs::exists(samples, ignored)) return no_run(folder);
  RunData run;
  run.folder = folder.string();
  run.name = name_of(folder);
  if (fs::exists(metrics, ignored)) LS_RETURN_IF_ERROR(read_metrics(metrics, run));
  if (fs::exists(samples, ignored)) LS_RETURN_IF_ERROR(read_samples(samples, limits, run));
  if (fs::exists(folder / "config.toml", ignored)) {
    LS_ASSIGN_OR_RETURN(run.config, read_file(folder / "config.toml"));
  }
  if (fs::exists(folder / "summary.json", ignored)) {
    const Result<Json> summary = read_json_file((folder / "summary.json").string());
    if (summary.ok()) run.summary = *summary;
    if (!summary.ok()) run.notes.push_back(summary.status().message());
  }
  return run;
}

}  // namespace longshot::report
