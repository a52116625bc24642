#pragma once
// The table of wordings, embedded at build time from the file of this folder.

#include <string_view>

namespace longshot::curate {

extern const std::string_view kWordingsTsv;

}  // namespace longshot::curate
