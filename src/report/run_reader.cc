#include "report/run_reader.h"

#include <fmt/format.h>

#include <cmath>
#include <deque>
#include <system_error>
#include <utility>

#include "base/os/fs.h"
#include "report/json_lines.h"
#include "report/sample_reader.h"

namespace longshot::report {
namespace {

namespace fs = std::filesystem;

constexpr size_t kEventText = 500;  // bytes of a text of an event

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

// Frees each row as it is taken over, because a long run has many.
void fill_metrics(Figures figures, RunData& run) {
  for (const auto& [step, index] : figures.row_of) {
    const std::vector<double> row = std::move(figures.rows[index]);
    run.steps.push_back(step);
    for (const auto& [name, column] : figures.column_of)
      run.metrics[name].push_back(column < row.size() ? row[column] : kNoValue);
  }
}

Status read_metrics(const fs::path& path, RunData& run) {
  Figures figures;
  LS_RETURN_IF_ERROR(for_each_object(
      path, [&](Json&& line) { figures.add(line); }, run.notes));
  if (figures.without_step > 0) {
    run.notes.push_back(fmt::format("{}: {} lines have no step and were left out", path.string(),
                                    figures.without_step));
  }
  fill_metrics(std::move(figures), run);
  return ok_status();
}

Status read_warnings(const fs::path& path, RunData& run) {
  const auto add = [&](Json&& line) {
    const auto step = line.find("step"), text = line.find("text");
    if (step != line.end() && step->is_number_integer() && text != line.end() && text->is_string())
      run.warnings.push_back({step->get<int64_t>(), text->get<std::string>()});
  };
  return for_each_object(path, add, run.notes);
}

Json page_event(const Json& line) {
  Json event;
  for (const char* key : {"event", "worker", "host", "address", "cause"}) {
    const auto it = line.find(key);
    event[key] =
        it != line.end() && it->is_string() ? shortened(it->get<std::string>(), kEventText) : "";
  }
  for (const char* key : {"time", "samples"}) {
    const auto it = line.find(key);
    event[key] = it != line.end() && it->is_number() ? *it : Json(nullptr);
  }
  event["step"] = line.at("step");
  return event;
}

Status read_events(const fs::path& path, RunData& run) {
  std::deque<Json> newest;
  size_t count = 0;
  const auto add = [&](Json&& line) {
    const auto step = line.find("step");
    if (step == line.end() || !step->is_number_integer()) return;
    ++count;
    newest.push_back(page_event(line));
    if (newest.size() > kMostEvents) newest.pop_front();
  };
  LS_RETURN_IF_ERROR(for_each_object(path, add, run.notes));
  if (count > newest.size())
    run.notes.push_back(fmt::format("{}: the page has the last {} of {} events", path.string(),
                                    newest.size(), count));
  run.events.assign(newest.begin(), newest.end());
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

// Reads what runs need not have.
Status read_settings(const fs::path& folder, RunData& run) {
  std::error_code ignored;
  if (fs::exists(folder / "config.toml", ignored)) {
    LS_ASSIGN_OR_RETURN(run.config, read_file(folder / "config.toml"));
  }
  if (!fs::exists(folder / "summary.json", ignored)) return ok_status();
  const Result<Json> summary = read_json_file((folder / "summary.json").string());
  if (summary.ok()) run.summary = *summary;
  if (!summary.ok()) run.notes.push_back(summary.status().message());
  return ok_status();
}

}  // namespace

Result<RunData> read_run(const fs::path& folder, const SampleLimits& limits) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return not_found(folder.string() + " is not a folder");
  const fs::path metrics = folder / "metrics.jsonl", samples = folder / "samples",
                 warnings = folder / "warnings.jsonl", events = folder / "events.jsonl";
  if (!fs::exists(metrics, ignored) && !fs::exists(samples, ignored)) return no_run(folder);
  RunData run;
  run.folder = folder.string();
  run.name = name_of(folder);
  if (fs::exists(metrics, ignored)) LS_RETURN_IF_ERROR(read_metrics(metrics, run));
  if (fs::exists(samples, ignored)) LS_RETURN_IF_ERROR(read_samples(samples, limits, run));
  // A run does not depend on these files, and so the page of it does not.
  if (fs::is_regular_file(warnings, ignored)) LS_RETURN_IF_ERROR(read_warnings(warnings, run));
  if (fs::is_regular_file(events, ignored)) LS_RETURN_IF_ERROR(read_events(events, run));
  LS_RETURN_IF_ERROR(read_settings(folder, run));
  return run;
}

}  // namespace longshot::report
