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

// The most points of a chart; a longer run is averaged down to at most this many.
constexpr size_t kMaxPoints = 2000;

struct RunData {
  std::string name;            // the last part of the path
  std::string folder;          // as given
  std::vector<int64_t> steps;  // ascending, each once, at most kMaxPoints
  // By name, [steps.size()] each; kNoValue where a step has no value.
  std::map<std::string, std::vector<double>> metrics;
  std::string config;              // text of config.toml; empty if there is none
  Json summary;                    // summary.json; null if there is none
  std::vector<Json> samples;       // the chosen ones, texts shortened
  int64_t sample_count = 0;        // number of samples in the run's files
  std::vector<std::string> notes;  // what was left out or averaged
};

struct SampleLimits {
  int count = 2000;        // per run, spread evenly over the iterations
  size_t text = 16 << 10;  // bytes of a prompt or a response; longer ones are cut in the middle
};

// `folder` must contain metrics.jsonl, samples/ or both; not_found otherwise.
Result<RunData> read_run(const std::filesystem::path& folder, const SampleLimits& limits);

// Returns `count` indices in [0, size), evenly spread and including the last one; all if size <=
// count.
std::vector<size_t> evenly_spread(size_t size, size_t count);

// Shortens valid UTF-8 to about `limit` bytes: the start and the end, with a mark between them.
std::string shortened(const std::string& text, size_t limit);

}  // namespace longshot::report
