#pragma once
// metrics.jsonl: one line of JSON per step, {"step": 12, "critic/rewards/mean": 0.25, ...}, names
// sorted. JSON has no NaN or infinity; these are written as the strings "NaN", "Infinity" and
// "-Infinity".

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/json.h"
#include "base/metrics.h"
#include "base/run_log/append_file.h"
#include "base/status.h"

namespace longshot {

// Movable only. Not thread-safe.
class MetricsLog {
 public:
  // Creates the file if needed. An unfinished last line, left by a crash, is removed.
  static Result<MetricsLog> open(const std::filesystem::path& path);

  // A line that cannot be written is kept and written before the next one.
  Status append(int64_t step, const Metrics& metrics);
  Status sync() { return file_.sync(); }

 private:
  explicit MetricsLog(AppendFile file) : file_(std::move(file)) {}
  AppendFile file_;
  std::string waiting_;
};

// The line that append writes, without the newline.
std::string metrics_line(int64_t step, const Metrics& metrics);

// Converts metrics to one JSON object in the same form, and back; `where` names the source in
// errors.
Json metrics_to_json(const Metrics& metrics);
Result<Metrics> metrics_from_json(const Json& json, const std::string& where);

}  // namespace longshot
