#pragma once
// Which worker generates which sample. The pool distributes the jobs of a round over workers that
// may join, leave, stall or be slow at any moment, and puts the pieces that they send together.
// The samples of a round are the same for any course of events, because a sample's tokens depend
// only on its job: a lost worker's samples continue elsewhere after the tokens that have arrived.
// If engines differ, so that two workers would generate different tokens, each sample still is one
// that was drawn: the first tokens that arrive count, and who generates others after them is
// dropped.
//
// Nothing here knows a network or a clock: events and the time come from the caller, so that tests
// can simulate any course. Not thread-safe.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "wire/messages.h"

namespace longshot::rollout {

using WorkerId = uint64_t;

struct PoolOptions {
  // The jobs of a worker that was not heard of for this long are given to others as well.
  double silence_seconds = 3;
};

// Messages that a worker must get. Its drops come first, and it gets no jobs with `load`.
struct Order {
  WorkerId worker = 0;
  std::vector<uint64_t> drop;
  std::vector<wire::Job> jobs;
  std::optional<int64_t> load = {};  // the version of the weights that it must load
};

class Pool {
 public:
  explicit Pool(PoolOptions options = {}) : options_(options) {}

  // Events of workers. All times are seconds on one clock that does not go back.
  // `slots`: jobs that it takes at a time.
  void join(WorkerId worker, int slots, double now,
            data::EngineKind engine = data::EngineKind::longshot);
  void set_version(WorkerId worker, int64_t version, double now);  // the weights it has loaded
  void heard(WorkerId worker, double now);
  void leave(WorkerId worker);

  // Rounds: one at a time, of one version, which the caller has workers load.
  //
  // Begins a round: jobs for workers that have loaded `version`. The ids of `jobs` are ignored.
  // Their order decides which begin first; jobs of a group stay together where there is room.
  // Returns the indices of the jobs that need no worker, because their samples already have
  // max_response_length tokens; they end as FinishReason::length.
  std::vector<size_t> begin(std::vector<wire::Job> jobs, int64_t version, double now);
  // Without rounds, while none is open: adds jobs at any time, for workers that have loaded
  // `version`, which must not be older than that of the jobs before. A worker generates with one
  // version at a time. orders() tells it to load another one when it has no job left; older
  // versions come first. Returns the index of the first job, and the others follow it; `complete`
  // gets the indices of those that need no worker, as from begin().
  size_t add(std::vector<wire::Job> jobs, int64_t version, double now,
             std::vector<size_t>& complete);
  // Removes a job of add() whose sample is complete.
  data::Sample take(size_t index);

  // A piece from a worker. Returns the index of its job if the sample is complete with it. Pieces
  // of jobs that nobody waits for are ignored. Error: the worker breaks the protocol, and must
  // leave.
  Result<std::optional<size_t>> receive(WorkerId worker, const wire::Piece& piece, double now);
  // A worker cannot execute a job; it should leave. Error: another worker could not either.
  Status refuse(WorkerId worker, const wire::JobError& error);
  // What must be sent now. To be called after events, and regularly to notice silence.
  std::vector<Order> orders(double now);
  // The workers that orders() has found silent since the last call and that were not heard again.
  std::vector<WorkerId> take_silent();
  bool is_silent(WorkerId worker) const;
  int64_t jobs_of(WorkerId worker) const;  // those that it has

  bool round_is_done() const { return left_ == 0; }
  const data::Sample& sample(size_t index) const { return tasks_.at(index).sample; }
  // Ends the round, finished or not. Samples are in the order of begin(); unfinished ones are
  // partial. Jobs that workers still have are dropped by the next orders().
  std::vector<data::Sample> end();

  int workers() const { return static_cast<int>(workers_.size()); }
  // Are not silent, and have the round's version, or any version without rounds.
  int ready_workers() const;
  int64_t finished() const { return static_cast<int64_t>(tasks_.size()) - left_; }
  int64_t unfinished() const { return left_; }
  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  int64_t new_tokens() const { return new_tokens_; }  // of this round, each counted once

  // Of this round: rollout/reissued (jobs given to a further worker), rollout/repeated_tokens
  // (received more than once), rollout/differing_tokens (of those, other than before).
  Metrics metrics() const;

 private:
  struct Worker {
    int slots = 1;
    data::EngineKind engine = data::EngineKind::longshot;
    int64_t version = -1, loading = -1;  // loading: told to load it; -1: nothing
    bool silent = false;
    bool punctual = false;               // had its version hardly later than the first worker
    bool had_jobs = false;               // in this round, or without rounds of its version
    double heard = 0, since = 0;         // last message; begin of its first job of the round
    int64_t tokens = 0;                  // received in this round
    std::map<uint64_t, size_t> running;  // job id -> task
    std::vector<uint64_t> drop;
  };
  struct Attempt {
    WorkerId worker = 0;
    uint64_t id = 0;
    size_t next = 0;     // index of the next token that it must send
    bool begun = false;  // has sent tokens
    double since = 0;
  };
  struct Task {
    wire::Job job;  // as given to begin() or add()
    int64_t version = 0;
    data::Sample sample;  // with the tokens so far
    bool done = false;
    int issues = 0, refusals = 0;
    std::vector<Attempt> attempts;
  };

  void notice_silence(double now);
  void update_waiting(size_t task);
  static bool usable(const Worker& worker, int64_t version) {
    return worker.version == version && worker.loading < 0 && !worker.silent;
  }
  int64_t waiting_version() const { return tasks_.at(*waiting_.begin()).version; }
  double rate(const Worker& worker, double now) const;  // tokens per second; 0: not known yet
  size_t append(std::vector<wire::Job> jobs, int64_t version, std::vector<size_t>& complete);
  int64_t share(double now) const;
  int64_t room(const Worker& worker) const;
  Worker* least_loaded(int64_t version, double now, WorkerId& id);
  wire::Job next_part(Task& task);
  void give(size_t task, WorkerId worker, double now, std::vector<wire::Job>& jobs);
  void give_waiting(double now, std::map<WorkerId, std::vector<wire::Job>>& jobs);
  static bool same_group(const wire::Job& a, const wire::Job& b) {
    return a.sample.prompt_id == b.sample.prompt_id && a.sample.seed == b.sample.seed;
  }

  // In pool_sharing.cc.
  double speed(const Worker& worker, double now) const;
  double load(const Worker& worker, double now) const;
  double tokens_left(const Task& task) const;
  static double prefix_of(const Task& task, bool with_prompt);
  double work_of(WorkerId worker) const;
  void share_with_idle(double now, std::map<WorkerId, std::vector<wire::Job>>& jobs);
  std::optional<WorkerId> most_loaded(WorkerId idle, double now) const;
  bool take_over(WorkerId idle, double now, std::vector<wire::Job>& jobs);
  bool repeat_last(WorkerId from, WorkerId to, double now, std::vector<wire::Job>& jobs);
  bool move_newest(WorkerId from, WorkerId to, double least_seconds, double now,
                   std::vector<wire::Job>& jobs);

  std::map<WorkerId, int64_t> choose_versions();
  int64_t next_version(const Worker& worker) const;
  void withdraw(size_t task, const Attempt& attempt, bool tell);
  bool merge(const wire::Piece& piece, data::EngineKind engine, data::Sample& sample);
  void complete(size_t task, const wire::Piece& piece);

  PoolOptions options_;
  std::map<WorkerId, Worker> workers_;
  std::map<size_t, Task> tasks_;  // by index; those of older versions come first
  std::set<WorkerId> newly_silent_;
  std::set<size_t> waiting_;    // tasks that no worker executes, as far as is known
  double fastest_ = 0;          // rate of the fastest worker; set by orders()
  int64_t share_ = 0;           // of a worker; set by orders()
  int64_t first_version_ = -1;  // the newest that a worker has had
  double first_ready_ = 0;      // when the first one had it
  double typical_length_ = 0;   // of the last complete responses, in tokens; 0: none is known
  int64_t completed_ = 0;       // how many of them
  bool in_rounds_ = true;
  size_t next_index_ = 0;
  int64_t version_ = 0, left_ = 0, new_tokens_ = 0;  // version_: the newest of all jobs
  int64_t reissued_ = 0, repeated_ = 0, differing_ = 0;
  uint64_t next_id_ = 1;
};

}  // namespace longshot::rollout
