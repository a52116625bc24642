#pragma once
// Makes the test cases of all problems of a run, several at once.

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

// Makes the test cases of the problems that the journal does not have yet. `on_done` receives each
// record after it was written to the journal, one at a time. When stop_requested(), problems in
// progress are given up. Errors: cancelled; those of make_one() and of the journal, after which no
// further problem is begun.
Status make_all(const std::vector<Problem>& problems, const RunOptions& options, Author* author,
                Programs& programs, Journal& journal,
                const std::function<void(const Record& record)>& on_done);

}  // namespace longshot::curate
