#pragma once
// A check of paths that clients name.

#include <string>

#include "base/status.h"

namespace longshot::server {

// Rejects devices and pipes, which could keep the server reading forever: `path` must be a regular
// file or a directory of regular files and directories, or not exist.
Status check_model_files(const std::string& path);

}  // namespace longshot::server
