#pragma once
// Files of judged samples → training rows.

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "curate/select/rules.h"
#include "curate/select/select_funnel.h"

namespace longshot::curate {

// Reads the rows one by one, so that a file is never in memory as a whole, and passes each training
// row to `write`. A prompt whose id occurs in several rows is selected from in each, with one
// warning. Errors: cancelled after stop_requested(); those of `write`; a row that is not one of
// judged samples, with file, line and key; there is no row.
Result<SelectFunnel> select_files(const std::vector<std::string>& files, const RuleOptions& options,
                                  const std::function<Status(const OrderedJson& row)>& write);

}  // namespace longshot::curate
