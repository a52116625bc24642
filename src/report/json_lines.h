#pragma once
// Reads files of one JSON object a line. A run may still be active or may have been killed, so
// damaged lines are left out and noted.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace longshot::report {

// Calls `use` with each object, and adds a note about the lines that are not one. Holds one line at
// a time, because a long run's file is larger than the data kept from it.
Status for_each_object(const std::filesystem::path& path, const std::function<void(Json&&)>& use,
                       std::vector<std::string>& notes);

Result<int64_t> count_lines(const std::filesystem::path& path);

}  // namespace longshot::report
