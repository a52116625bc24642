#pragma once
// The report as a page that follows its runs: a server of the page and of events that say that a
// run has written something.

#include <filesystem>
#include <string>
#include <vector>

#include "net/reply.h"
#include "report/report.h"

namespace longshot::report {

// GET / is the page, made anew for each request. GET /events?version=V sends one server-sent event
// once the runs differ from what the page of version V shows, and ends at stop_requested().
std::vector<net::Route> live_routes(const std::vector<std::filesystem::path>& folders,
                                    const ReportOptions& options);

// A text that changes when a run of the report has written metrics, warnings, samples or settings.
std::string version_of(const std::vector<std::filesystem::path>& folders);

}  // namespace longshot::report
