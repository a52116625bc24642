#pragma once
// Reads the files of a run (base/run_log/run_log.h) into memory for the report. The run may still
// be active or may have been killed: damaged lines are left out and noted.

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::report {

constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();

// The most events of a run on the page.
constexpr size_t kMostEvents = 500;

// A line of warnings.jsonl.
struct LoggedWarning {
  int64_t step = 0;  // the iteration in which it was logged; 0 before the first one
  std::string text;
};

struct RunData {
  std::string name;            // the last part of the path
  std::string folder;          // as given
  std::vector<int64_t> steps;  // ascending, each once
  // By name, [steps.size()] each; kNoValue where a step has no value.
  std::map<std::string, std::vector<double>> metrics;
  std::vector<LoggedWarning> warnings;
  // Of events.jsonl, at most the newest kMostEvents; each has the keys that the page shows, with
  // the types that it expects.
  std::vector<Json> events;
  std::string config;              // text of config.toml; empty if there is none
  Json summary;                    // summary.json; null if there is none
  std::vector<Json> samples;       // the chosen ones, texts shortened
  int64_t sample_count = 0;        // number of samples in the run's files
  std::vector<std::string> notes;  // what was left out or averaged
};

struct SampleLimits {
  int count = 2000;        // per run, see sample_reader.h
  size_t text = 16 << 10;  // bytes of a prompt or a response; longer ones are cut in the middle
};

// `folder` must contain metrics.jsonl, samples/ or both; not_found otherwise.
Result<RunData> read_run(const std::filesystem::path& folder, const SampleLimits& limits);

}  // namespace longshot::report
