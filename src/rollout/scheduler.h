#pragma once
// Which job holds which KV slot, on integers alone: no tokens, no model, no memory. Jobs are admitted in the
// order they were added, run until they finish (no preemption) and share the cached prompt of their group.

#include <cstdint>
#include <deque>
#include <vector>

namespace longshot::rollout {

struct Admission {
  int job = 0;
  int slot = 0;
  // Slot whose cached prompt is the job's own: `slot` itself when it still holds it, -1 when nobody has it. A source
  // that was admitted in the same round has its prompt computed first.
  int prefix_from = -1;
};

class Scheduler {
 public:
  explicit Scheduler(int slots);

  // Jobs of one group have the same prompt. Jobs are numbered 0, 1, 2, ... as added.
  void add(int group);
  // Gives free slots to waiting jobs, in order.
  std::vector<Admission> admit();
  // The job has ended; its slot is free, and keeps the group's prompt until somebody else takes it.
  void finish(int job);

  bool idle() const { return waiting_.empty() && running_ == 0; }
  int running() const { return running_; }
  int slot_of(int job) const { return jobs_[job].slot; }  // -1 unless running

 private:
  struct Job {
    int group = 0;
    int slot = -1;
  };
  struct Slot {
    int job = -1;          // -1: free
    int group = -1;        // whose prompt it holds; -1: none
    int64_t freed_at = 0;  // order of becoming free
  };
  int choose_slot(int group) const;
  int holder_of(int group) const;
  bool wanted(int group) const { return group >= 0 && waiting_in_group_[group] > 0; }

  std::vector<Slot> slots_;
  std::vector<Job> jobs_;
  std::vector<int> waiting_in_group_;  // by group
  std::deque<int> waiting_;
  int running_ = 0;
  int64_t clock_ = 0;
};

}  // namespace longshot::rollout
