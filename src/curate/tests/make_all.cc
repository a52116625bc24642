#include "curate/tests/make_all.h"

#include <algorithm>
#include <mutex>

#include "base/os/stop.h"
#include "base/thread_pool.h"

namespace longshot::curate {
namespace {

std::vector<const Problem*> not_done(const std::vector<Problem>& problems, const Journal& journal) {
  std::vector<const Problem*> left;
  for (const Problem& problem : problems) {
    if (!journal.is_done(problem)) left.push_back(&problem);
  }
  return left;
}

}  // namespace

Status make_all(const std::vector<Problem>& problems, const RunOptions& options, Author* author,
                Programs& programs, Journal& journal,
                const std::function<void(const Record& record)>& on_done) {
  const auto left = not_done(problems, journal);
  std::mutex mutex;  // guards what follows, and the journal
  Status failure;
  size_t done = 0;
  const auto stopped = [&] {
    std::lock_guard lock(mutex);
    return stop_requested() || !failure.ok();
  };
  const auto save = [&](const Problem& problem, const Record& record) {
    const bool kept = record.state == State::kept;
    LS_RETURN_IF_ERROR(journal.append(
        record, kept ? make_row(problem, record.best, options.instruction) : OrderedJson()));
    ++done;
    on_done(record);
    return ok_status();
  };
  const auto body = [&](int i) {
    if (stopped()) return;
    const Problem& problem = *left[static_cast<size_t>(i)];
    const auto record = make_one(problem, options.make, author, programs);
    std::lock_guard lock(mutex);
    // A full disk may have cut off the journal's last line, and no line may follow one that is cut
    // off.
    if (failure.code() == StatusCode::io_error) return;
    const Status status = record.ok() ? save(problem, *record) : record.status();
    if (failure.ok()) failure = status;
  };
  const int threads =
      std::max(1, std::min<int>(options.concurrency, static_cast<int>(left.size())));
  ThreadPool(threads).parallel_for(static_cast<int>(left.size()), body);
  if (!failure.ok()) return failure;
  return done < left.size() ? cancelled("stopped") : ok_status();
}

}  // namespace longshot::curate
