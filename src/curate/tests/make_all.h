#pragma once
// All problems of a run, several at once.

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "curate/tests/journal.h"
#include "curate/tests/make_one.h"

namespace longshot::curate {

struct RunOptions {
  MakeOptions make;
  std::string instruction;  // see make_row()
  int concurrency = 0;      // problems at once, at least 1
};

// Makes what the journal does not have yet; `on_done` sees each record once it is in the journal, one at a time.
// Problems that are under way when stop_requested() are given up. Errors: cancelled; what make_one() and the journal
// return, after which no further problem is begun.
Status make_all(const std::vector<Problem>& problems, const RunOptions& options, Author* author,
                Programs& programs, Journal& journal,
                const std::function<void(const Record& record)>& on_done);

}  // namespace longshot::curate
