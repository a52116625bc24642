#pragma once
// The page's parts, embedded at build time from the files of this folder.

#include <string_view>

namespace longshot::curate {

extern const std::string_view kFunnelHtml;
extern const std::string_view kFunnelCss;
extern const std::string_view kFunnelJs;

}  // namespace longshot::curate
