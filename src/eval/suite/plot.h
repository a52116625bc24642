#pragma once
// Token efficiency as a page: accuracy against the mean length of responses (Figure 7 of the
// report).

#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::eval {

// One plot per task that all folders (outputs of run_suite) generated answers for, and one of their
// mean if there are several; a point for each folder, with its 95 % interval. The page is one file
// without scripts. Error: a folder has no results.
Result<std::string> efficiency_page(const std::vector<std::string>& folders);

}  // namespace longshot::eval
