// Jobs that move from a busy worker to an idle one. To move a job costs the tokens that were not
// sent yet, and the receiver has to compute its prefix, which takes as long as generating as many
// tokens where arithmetic is the limit. So a job moves only if the receiver would have done it
// before the giver has done all of its own.
#include <algorithm>

#include "rollout/remote/pool.h"

namespace longshot::rollout {
namespace {

// A worker that has done its own jobs takes over only those that have run for this long. A worker
// that has had none, because it was ready later than the others, gets its share at once.
constexpr double kWorthMovingSeconds = 1;
// The last job of a worker is given to an idle one as well if that one is this much faster.
constexpr double kMuchFaster = 2;

}  // namespace

// Relative to the fastest worker. Workers whose speed is not known count as the fastest.
double Pool::speed(const Worker& worker, double now) const {
  const double own = rate(worker, now);
  return own > 0 && fastest_ > 0 ? own / fastest_ : 1;
}

// Jobs in relation to speed.
double Pool::load(const Worker& worker, double now) const {
  return static_cast<double>(worker.running.size() + 1) / speed(worker, now);
}

// How many tokens a job probably still needs: up to the typical length, and past it as many as it
// has already.
double Pool::tokens_left(const Task& task) const {
  const auto have = static_cast<double>(task.sample.tokens.size());
  double most = task.job.max_response_length - have;
  if (task.job.segment_tokens > 0) {
    const auto before = static_cast<double>(task.job.sample.tokens.size());
    most = std::min(most, task.job.segment_tokens - (have - before));
  }
  if (typical_length_ == 0) return std::max(most, 1.0);
  return std::clamp(std::max(typical_length_ - have, have), 1.0, std::max(most, 1.0));
}

double Pool::prefix_of(const Task& task, bool with_prompt) {
  const size_t prompt = with_prompt ? task.sample.prompt_tokens.size() : 0;
  return static_cast<double>(task.sample.tokens.size() + prompt);
}

// Tokens that a worker still computes for its jobs, their prefixes included unless it has begun.
// The jobs of a group share their prompt.
double Pool::work_of(WorkerId id) const {
  double tokens = 0;
  const Task* before = nullptr;
  for (const auto& [job, index] : workers_.at(id).running) {
    const Task& task = tasks_.at(index);
    const auto attempt = std::ranges::find(task.attempts, job, &Attempt::id);
    tokens += tokens_left(task);
    if (!attempt->begun)
      tokens += prefix_of(task, before == nullptr || !same_group(before->job, task.job));
    before = &task;
  }
  return tokens;
}

// Workers without a job take over some of those of the most loaded one.
void Pool::share_with_idle(double now, std::map<WorkerId, std::vector<wire::Job>>& jobs) {
  for (const auto& [id, worker] : workers_) {
    if (worker.version < 0 || !usable(worker, in_rounds_ ? version_ : worker.version)) continue;
    if (!worker.running.empty()) continue;
    if (!take_over(id, now, jobs[id])) return;
  }
}

// Among the workers with the version of `idle`. None if none has a job.
std::optional<WorkerId> Pool::most_loaded(WorkerId idle, double now) const {
  std::optional<WorkerId> found;
  for (const auto& [id, worker] : workers_) {
    if (id == idle || worker.running.empty() || worker.silent) continue;
    if (worker.version != workers_.at(idle).version) continue;
    if (!found || load(worker, now) > load(workers_.at(*found), now)) found = id;
  }
  return found;
}

bool Pool::take_over(WorkerId idle, double now, std::vector<wire::Job>& jobs) {
  std::optional<WorkerId> busiest = most_loaded(idle, now);
  if (!busiest) return false;
  if (workers_.at(*busiest).running.size() == 1) return repeat_last(*busiest, idle, now, jobs);
  const double least_seconds = workers_.at(idle).had_jobs ? kWorthMovingSeconds : 0;
  while (busiest && move_newest(*busiest, idle, least_seconds, now, jobs))
    busiest = most_loaded(idle, now);
  return true;
}

// The last job of a worker goes to an idle one as well that is much faster.
bool Pool::repeat_last(WorkerId from, WorkerId to, double now, std::vector<wire::Job>& jobs) {
  const double own = rate(workers_.at(to), now), other = rate(workers_.at(from), now);
  const size_t index = workers_.at(from).running.begin()->second;
  const Task& task = tasks_.at(index);
  if (other == 0 || own < kMuchFaster * other || task.attempts.size() > 1) return false;
  if ((tokens_left(task) + prefix_of(task, true)) / own >= tokens_left(task) / other) return false;
  give(index, to, now, jobs);
  return true;
}

// Moves the newest job, which has the fewest tokens to be computed again, if it is not the last
// one, has run for `least_seconds`, and that saves time.
bool Pool::move_newest(WorkerId from, WorkerId to, double least_seconds, double now,
                       std::vector<wire::Job>& jobs) {
  const Worker &giver = workers_.at(from), &receiver = workers_.at(to);
  if (giver.running.size() < 2 || static_cast<int>(receiver.running.size()) >= receiver.slots)
    return false;
  const auto [id, index] = *giver.running.rbegin();
  const Task& task = tasks_.at(index);
  const auto attempt = std::ranges::find(task.attempts, id, &Attempt::id);
  if (now - attempt->since < least_seconds) return false;
  const bool has_prompt = !jobs.empty() && same_group(jobs.back(), task.job);
  const double more = tokens_left(task) + prefix_of(task, !has_prompt);
  if ((work_of(to) + more) / speed(receiver, now) >= work_of(from) / speed(giver, now))
    return false;
  withdraw(index, Attempt(*attempt), true);
  give(index, to, now, jobs);
  return true;
}

}  // namespace longshot::rollout
