#include "track/run_follower.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "base/os/fs.h"

namespace longshot::track {
namespace {

namespace fs = std::filesystem;

fs::path evaluation_file(const fs::path& folder, int64_t step) {
  return folder / "samples" / fmt::format("held_out_{:06d}.jsonl", step);
}

Result<Row> row_of(const std::string& line, const std::string& where) {
  LS_ASSIGN_OR_RETURN(Json json, parse_json(line, where));
  Row row;
  LS_ASSIGN_OR_RETURN(row.step, json_get<int64_t>(json, "step", where));
  json.erase("step");
  row.metrics = std::move(json);
  return row;
}

}  // namespace

RunFollower::RunFollower(fs::path folder, int64_t after, int64_t after_evaluation)
    : folder_(std::move(folder)), last_(after), last_evaluation_(after_evaluation) {}

bool RunFollower::continues(std::ifstream& in) const {
  std::string there(line_.size(), '\0');
  in.seekg(static_cast<std::streamoff>(offset_ - line_.size()));
  in.read(there.data(), static_cast<std::streamsize>(there.size()));
  return in.good() && there == line_;
}

Result<std::vector<Row>> RunFollower::new_rows() {
  const fs::path file = folder_ / "metrics.jsonl";
  std::error_code error;
  if (!fs::exists(file, error)) return std::vector<Row>();
  std::ifstream in(file, std::ios::binary);
  if (!continues(in)) {
    offset_ = 0;
    line_.clear();
    in.clear();
    in.seekg(0);
  }
  std::vector<Row> rows;
  for (std::string line; std::getline(in, line) && !in.eof();) {
    offset_ += line.size() + 1;
    line_ = line + '\n';
    LS_ASSIGN_OR_RETURN(Row row, row_of(line, file.string()));
    if (row.step <= last_) continue;
    last_ = row.step;
    rows.push_back(std::move(row));
  }
  if (in.bad()) return io_error(file.string() + ": cannot be read");
  return rows;
}

Result<std::vector<int64_t>> RunFollower::new_evaluations() {
  const fs::path folder = folder_ / "samples";
  std::error_code error;
  if (!fs::exists(folder, error)) return std::vector<int64_t>();
  LS_ASSIGN_OR_RETURN(const std::vector<std::string> names, list_files(folder));
  std::vector<int64_t> steps;
  for (const std::string& name : names) {
    long long step = 0;
    if (std::sscanf(name.c_str(), "held_out_%lld.jsonl", &step) != 1) continue;
    if (step > last_evaluation_ && step <= last_) steps.push_back(step);
  }
  std::ranges::sort(steps);
  if (!steps.empty()) last_evaluation_ = steps.back();
  return steps;
}

Result<Json> RunFollower::table_of(int64_t step) const {
  const std::string file = evaluation_file(folder_, step).string();
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(file));
  const std::vector<std::string> columns = {"prompt", "response", "ground_truth", "answer",
                                            "score",  "correct",  "finish",       "tokens"};
  Json data = Json::array();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    LS_ASSIGN_OR_RETURN(const Json sample, parse_json(line, file));
    Json values = Json::array();
    for (const std::string& column : columns) values.push_back(sample.value(column, Json()));
    data.push_back(std::move(values));
  }
  return Json{{"columns", columns}, {"data", std::move(data)}};
}

Result<FlatSettings> settings_of(const fs::path& folder) {
  const std::string file = (folder / "config.toml").string();
  std::error_code error;
  if (!fs::exists(file, error)) return FlatSettings();
  LS_ASSIGN_OR_RETURN(const std::string text, read_file(file));
  return flat_settings(text, file);
}

}  // namespace longshot::track
