#pragma once
// Chooses samples of a run for the page: whole groups of a prompt, spread evenly over the files, so
// over the iterations and evaluations.

#include <filesystem>
#include <string>
#include <vector>

#include "report/run_reader.h"

namespace longshot::report {

// Adds to run.samples, run.sample_count and run.notes from the *.jsonl files of `folder`. The
// newest file has a part in any case. Error: a file cannot be read.
Status read_samples(const std::filesystem::path& folder, const SampleLimits& limits, RunData& run);

// Returns `count` indices in [0, size), evenly spread and including the last one; all if size <=
// count.
std::vector<size_t> evenly_spread(size_t size, size_t count);

// Shortens valid UTF-8 to about `limit` bytes: the start and the end, with a mark between them.
std::string shortened(const std::string& text, size_t limit);

}  // namespace longshot::report
