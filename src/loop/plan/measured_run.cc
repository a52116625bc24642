#include "loop/plan/measured_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/json.h"
#include "base/os/fs.h"
#include "base/settings/config_changes.h"
#include "base/settings/parse_toml.h"

namespace longshot::loop {
namespace {

namespace fs = std::filesystem;

// Of these the measured seconds depend.
constexpr const char* kSections[] = {"model.",          "data.train_batch_size",
                                     "data.max_",       "rollout.",
                                     "algorithm.",      "optim.",
                                     "trainer.threads", "trainer.device",
                                     "trainer.dtype",   "trainer.checkpointing",
                                     "trainer.kernels", "trainer.lanes",
                                     "hybrid."};

// The last line of a run that is active or was killed may be cut, so lines that are not JSON are
// left out.
Status each_row(const fs::path& file, const std::function<void(const Json&)>& use) {
  std::ifstream in(file);
  if (!in) return not_found(file.string() + " cannot be read");
  for (std::string line; std::getline(in, line);) {
    const auto row = parse_json(line, file.string());
    if (row.ok() && row->is_object()) use(*row);
  }
  return ok_status();
}

double number(const Json& row, const char* name) {
  const auto it = row.find(name);
  return it == row.end() ? 0 : number_of(*it).value_or(0);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Status read_times(const fs::path& folder, bool filters, MeasuredRun& run) {
  std::vector<Json> rows;
  LS_RETURN_IF_ERROR(each_row(folder / "metrics.jsonl", [&](const Json& row) {
    if (row.contains("timing_s/gen") && row.contains("timing_s/update_actor")) rows.push_back(row);
  }));
  if (rows.empty()) return invalid_argument(folder.string() + " has no finished iteration");
  if (rows.size() > 1) rows.erase(rows.begin());
  run.iterations = static_cast<int>(rows.size());
  const auto typical = [&](const char* name) {
    std::vector<double> values;
    for (const Json& row : rows)
      if (row.contains(name)) values.push_back(number(row, name));
    return median(values);
  };
  run.generation = typical("timing_s/gen");
  run.update = typical("timing_s/update_actor");
  run.publish = typical("timing_s/update_weights");
  run.reward = typical("reward/seconds/mean");
  run.flat_groups =
      typical(filters ? "train/zero_variance_share" : "critic/groups_without_variance");
  return ok_status();
}

Status read_lengths(const fs::path& folder, MeasuredRun& run) {
  std::error_code error;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder / "samples", error))
    if (entry.path().filename().string().starts_with("samples_")) files.push_back(entry.path());
  std::ranges::sort(files);
  for (const fs::path& file : files) {
    LS_RETURN_IF_ERROR(each_row(file, [&](const Json& row) {
      const double tokens = number(row, "tokens");
      if (tokens >= 1) run.lengths.push_back(static_cast<int>(tokens));
    }));
  }
  if (!run.lengths.empty()) return ok_status();
  return invalid_argument(folder.string() +
                          " has no samples, from which the lengths are taken: it was run with "
                          "trainer.log_samples = 0");
}

bool matters(const std::string& key) {
  return std::ranges::any_of(kSections,
                             [&](const char* section) { return key.starts_with(section); });
}

Status check_same(const std::string& folder, const std::string& config_text) {
  const std::string file = folder + "/config.toml";
  LS_ASSIGN_OR_RETURN(const std::string measured, read_file(file));
  LS_ASSIGN_OR_RETURN(const toml::table table, parse_toml(measured, file));
  if (!table["cluster"]["url"].value_or(std::string()).empty())
    return invalid_argument(folder +
                            ": workers generated its samples; a plan needs a run in one process");
  LS_ASSIGN_OR_RETURN(const auto changes, config_changes(measured, config_text));
  for (const ConfigChange& change : changes) {
    if (matters(change.key))
      return invalid_argument(fmt::format(
          "--measured {}: the plan must have the same settings as that run, and differs in {}",
          folder, to_text(change)));
  }
  return ok_status();
}

}  // namespace

Result<MeasuredRun> read_measured_run(const std::string& folder, const std::string& config_text,
                                      bool filters) {
  LS_RETURN_IF_ERROR(check_same(folder, config_text));
  MeasuredRun run;
  run.folder = folder;
  LS_RETURN_IF_ERROR(read_times(folder, filters, run));
  LS_RETURN_IF_ERROR(read_lengths(folder, run));
  return run;
}

}  // namespace longshot::loop
