#pragma once
// Units of memory for figures in messages and reports.

namespace longshot {

constexpr double kMiB = 1024.0 * 1024;
constexpr double kGiB = 1024 * kMiB;

}  // namespace longshot
