#pragma once
// Reads what a run adds to its folder (base/run_log/run_log.h) since the last call. The run may be
// active, stopped or resumed; a line that is still being written is given once it is whole.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/settings/flat_settings.h"
#include "base/status.h"

namespace longshot::track {

struct Row {
  int64_t step = 0;
  Json metrics;  // an object without "step"
};

// Not thread-safe.
class RunFollower {
 public:
  // Gives rows of steps above `after` and evaluations of steps above `after_evaluation` only.
  RunFollower(std::filesystem::path folder, int64_t after, int64_t after_evaluation);

  // The next whole rows of metrics.jsonl. After a resume, which cuts the file, a step that was
  // given before is not given again. Errors: the file exists and cannot be read; a line is damaged.
  Result<std::vector<Row>> new_rows();
  // Steps of the files samples/held_out_*.jsonl that new_rows() has passed since the last call;
  // none without the folder.
  Result<std::vector<int64_t>> new_evaluations();
  // The samples of such a file as a table in the form of MLflow: {"columns": [...], "data": [...]}.
  Result<Json> table_of(int64_t step) const;

 private:
  // Moves to the place after the last line that was read. False if another line is there.
  bool continues(std::ifstream& in) const;

  std::filesystem::path folder_;
  int64_t last_, last_evaluation_;
  uintmax_t offset_ = 0;
  std::string line_;  // the last one that was read, with its end; before offset_ until a resume
};

// The settings of a run, from its config.toml. Empty if the file is missing.
Result<FlatSettings> settings_of(const std::filesystem::path& folder);

}  // namespace longshot::track
