#pragma once
// The texts of a first project, embedded at build time from the files of this folder. A word
// between two @ is replaced when the project is written.

#include <string_view>

namespace longshot::datasets {

extern const std::string_view kConfigToml;
extern const std::string_view kReadmeMd;
extern const std::string_view kRewardPy;
extern const std::string_view kSftToml;
extern const std::string_view kWarmUpMd;

}  // namespace longshot::datasets
