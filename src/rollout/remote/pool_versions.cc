// A pool without rounds: jobs of several versions of the weights, and which worker loads which one.
#include <algorithm>

#include "base/check.h"
#include "rollout/remote/pool.h"

namespace longshot::rollout {

size_t Pool::add(std::vector<wire::Job> jobs, int64_t version, double now,
                 std::vector<size_t>& complete) {
  LS_CHECK(!in_rounds_ || tasks_.empty(), "the round before has not ended");
  LS_CHECK(in_rounds_ || version >= version_, "versions only become newer");
  if (in_rounds_) reissued_ = repeated_ = differing_ = new_tokens_ = 0;
  if (in_rounds_ || version > version_) {  // rates are those of the time since then
    for (auto& [id, worker] : workers_) {
      worker.tokens = 0;
      worker.since = now;
    }
  }
  in_rounds_ = false;
  version_ = version;
  return append(std::move(jobs), version, complete);
}

data::Sample Pool::take(size_t index) {
  const auto it = tasks_.find(index);
  LS_CHECK(!in_rounds_ && it != tasks_.end() && it->second.done, "a complete sample of add()");
  data::Sample sample = std::move(it->second.sample);
  tasks_.erase(it);
  return sample;
}

// Idle workers that must load another version.
std::map<WorkerId, int64_t> Pool::choose_versions() {
  std::map<WorkerId, int64_t> loads;
  if (in_rounds_) return loads;
  for (auto& [id, worker] : workers_) {
    if (!usable(worker, worker.version) || worker.version < 0 || !worker.running.empty()) continue;
    const int64_t next = next_version(worker);
    if (next == worker.version) continue;
    worker.loading = next;
    loads[id] = next;
  }
  return loads;
}

// Newer weights are always loaded. A worker returns to older ones only for jobs for which the
// workers that have them, or load them, have no room: those of a worker that was lost.
int64_t Pool::next_version(const Worker& worker) const {
  if (waiting_.empty()) return std::max(worker.version, version_);
  const int64_t wanted = waiting_version();
  if (wanted >= worker.version) return wanted;
  int64_t room = 0;
  for (const auto& [id, other] : workers_) {
    const int64_t soon = other.loading < 0 ? other.version : other.loading;
    if (soon == wanted && !other.silent)
      room += std::max(0, other.slots - static_cast<int>(other.running.size()));
  }
  const auto waits = std::ranges::count_if(
      waiting_, [&](size_t index) { return tasks_.at(index).version == wanted; });
  return room < waits ? wanted : worker.version;
}

}  // namespace longshot::rollout
