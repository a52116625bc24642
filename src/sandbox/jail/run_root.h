#pragma once
// What one run sees: an overlay whose lower layer is the image and whose upper layer is a file system in memory of fixed
// size, the image's mounts again on top of it, and a /proc that shows the program's own processes and nothing else.

#include <string>
#include <vector>

#include "sandbox/jail/namespaces.h"
#include "sandbox/job.h"

namespace longshot::sandbox::jail {

constexpr const char* kWorkDirectory = "/box";

// In new namespaces, as the keeper. Afterwards the working directory of the process is kWorkDirectory, which holds the
// files and belongs to the program. Faults end the process.
void enter_run_root(const Job& job, const std::vector<std::string>& mounts, const Ids& ids);

// The files that the program left, as far as they are regular, reached without any symbolic link, and together no larger
// than the job allows; of a larger one nothing is taken.
std::vector<File> fetch_files(const Job& job);

}  // namespace longshot::sandbox::jail
