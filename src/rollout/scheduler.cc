#include "rollout/scheduler.h"

#include <tuple>

#include "base/check.h"

namespace longshot::rollout {

Scheduler::Scheduler(int slots) : slots_(slots) {
  LS_CHECK(slots > 0, "no KV slot to schedule");
}

void Scheduler::add(int group) {
  LS_CHECK(group >= 0, "groups are numbered from 0");
  if (group >= static_cast<int>(waiting_in_group_.size())) waiting_in_group_.resize(group + 1, 0);
  ++waiting_in_group_[group];
  waiting_.push_back(static_cast<int>(jobs_.size()));
  jobs_.push_back({group, -1});
}

// A free slot with the group's own prompt; else one whose prompt nobody waits for; else the longest free one.
int Scheduler::choose_slot(int group) const {
  int best = -1;
  std::tuple<int, int64_t> best_key;
  for (int s = 0; s < static_cast<int>(slots_.size()); ++s) {
    if (slots_[s].job >= 0) continue;
    const int rank = slots_[s].group == group ? 0 : wanted(slots_[s].group) ? 2 : 1;
    const std::tuple<int, int64_t> key{rank, slots_[s].freed_at};
    if (best < 0 || key < best_key) best = s, best_key = key;
  }
  return best;
}

int Scheduler::holder_of(int group) const {
  for (int s = 0; s < static_cast<int>(slots_.size()); ++s) {
    if (slots_[s].group == group) return s;
  }
  return -1;
}

std::vector<Admission> Scheduler::admit() {
  std::vector<Admission> admitted;
  while (!waiting_.empty() && running_ < static_cast<int>(slots_.size())) {
    const int job = waiting_.front(), group = jobs_[job].group;
    waiting_.pop_front();
    --waiting_in_group_[group];
    const int slot = choose_slot(group);
    const int from = slots_[slot].group == group ? slot : holder_of(group);
    slots_[slot].job = job;
    slots_[slot].group = group;
    jobs_[job].slot = slot;
    ++running_;
    admitted.push_back({job, slot, from});
  }
  return admitted;
}

void Scheduler::finish(int job) {
  const int slot = jobs_[job].slot;
  LS_CHECK(slot >= 0, "finish() of a job that does not run");
  slots_[slot].job = -1;
  slots_[slot].freed_at = ++clock_;
  jobs_[job].slot = -1;
  --running_;
}

}  // namespace longshot::rollout
