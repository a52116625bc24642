#pragma once
// Makes one self-contained HTML page about one or several runs: curves, time, samples, settings.
// The page loads nothing, except one that follows its runs (live.h).

#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "report/run_reader.h"

namespace longshot::report {

struct ReportOptions {
  std::string title = "longshot report";
  SampleLimits samples;      // count is for all runs together
  std::string version = {};  // if set, the page follows its runs with live.h; see version_of()
};

// Returns the HTML text. Error: no folder is given, or one of them is not a readable run folder.
Result<std::string> make_report(const std::vector<std::filesystem::path>& folders,
                                const ReportOptions& options);

// The page's data as JSON that is safe inside a <script> element.
std::string page_data(const std::vector<RunData>& runs, const std::string& version = {});

}  // namespace longshot::report
