#pragma once
// The points of a run's charts.

#include <cstdint>
#include <string>
#include <vector>

#include "report/run_reader.h"

namespace longshot::report {

// The most points of a chart.
constexpr size_t kMaxPoints = 2000;

// Averages a longer run down to at most kMaxPoints points and notes it. A point is the mean of
// equally many steps, at the last of them; of a metric whose name ends in max or min it is the
// largest or the smallest value.
RunData averaged(RunData run);

// The sum of a metric of the run up to each of `steps`, which ascend and are steps of the run;
// empty if the run does not have the metric.
std::vector<double> sums_at(const std::vector<int64_t>& steps, const RunData& run,
                            const std::string& metric);

}  // namespace longshot::report
