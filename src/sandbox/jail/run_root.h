#pragma once
// The file system that one run sees: an overlay whose lower layer is the image and whose upper
// layer is an in-memory file system of fixed size, with the image's mounts again on top, and a
// /proc that shows only the program's own processes.

#include <string>
#include <vector>

#include "sandbox/jail/namespaces.h"
#include "sandbox/job.h"

namespace longshot::sandbox::jail {

constexpr const char* kWorkDirectory = "/box";

// Must be called in new namespaces, as the keeper. Afterwards the working directory of the process
// is kWorkDirectory, which contains the files and belongs to the program. Faults end the process.
void enter_run_root(const Job& job, const std::vector<std::string>& mounts, const Ids& ids);

// Returns the requested files that the program left behind. Skips files that are not regular, are
// reached through a symbolic link, or exceed the remaining size that the job allows for all of
// them.
std::vector<File> fetch_files(const Job& job);

}  // namespace longshot::sandbox::jail
