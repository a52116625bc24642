#pragma once
// Reads what a run wrote down (base/run_log/run_log.h) into memory for the report. Tolerates a run that
// still goes on or was killed: damaged lines are left out and noted.

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

// Steps of a chart; a longer run is averaged down to at most as many points.
constexpr size_t kMostPoints = 2000;

struct RunData {
  std::string name;            // the last part of the path
  std::string folder;          // as given
  std::vector<int64_t> steps;  // ascending, each once, at most kMostPoints
  std::map<std::string, std::vector<double>>
      metrics;                     // [steps.size()]; kNoValue where a step has none
  std::string config;              // text of config.toml; empty if there is none
  Json summary;                    // summary.json; null if there is none
  std::vector<Json> samples;       // the chosen ones, texts shortened
  int64_t sample_count = 0;        // all that the run has
  std::vector<std::string> notes;  // what could not be read
};

struct SampleLimits {
  int count = 2000;        // per run, spread evenly over the iterations
  size_t text = 16 << 10;  // bytes of a prompt or a response; longer ones are cut in the middle
};

// `folder` holds metrics.jsonl, or samples/, or both.
Result<RunData> read_run(const std::filesystem::path& folder, const SampleLimits& limits);

// `count` indices out of [0, size), evenly spread, the last one included; all if size <= count.
std::vector<size_t> evenly_spread(size_t size, size_t count);

// At most about `limit` bytes of valid UTF-8: the start and the end, with a mark between them.
std::string shortened(const std::string& text, size_t limit);

}  // namespace longshot::report
