#pragma once
// Files of a run log whose lines are JSON objects with a "step" that never falls.

#include <cstdint>
#include <filesystem>

#include "base/status.h"

namespace longshot {

// Removes an unfinished last line, left by a crash. A missing file is not an error, and a device is
// left alone, here and below.
Status cut_unfinished_line(const std::filesystem::path& path);

// For resuming: cuts off the lines of steps after `step`, which are the last ones, and any damaged
// lines among them. If `cut_off` is given, the removed lines are written to that file; its folder
// is created.
Status drop_lines_after(const std::filesystem::path& path, int64_t step,
                        const std::filesystem::path& cut_off = {});

}  // namespace longshot
