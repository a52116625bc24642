#pragma once
// The page's parts, embedded at build time from the files of this folder.

#include <string_view>

namespace longshot::report {

extern const std::string_view kReportHtml;
extern const std::string_view kReportCss;
extern const std::string_view kChartsJs;
extern const std::string_view kSamplesJs;
extern const std::string_view kWorkersJs;
extern const std::string_view kPageJs;
extern const std::string_view kLiveJs;

}  // namespace longshot::report
