#include "rollout/remote/pool.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace longshot::rollout {
namespace {

// A rate is measured over at least this time.
constexpr double kRateSeconds = 0.5;
// For this long after the first worker has a version, the share of those waits that had the version
// before as soon: what the first ones got would move to them, and its prompts be computed twice.
constexpr double kPatienceSeconds = 0.5;
// The typical length of a response is the mean of about this many.
constexpr int64_t kTypicalOf = 256;

// A job that was assigned and moved on before it was sent needs neither message.
void cancel_out(std::vector<uint64_t>& drop, std::vector<wire::Job>& jobs) {
  std::erase_if(drop, [&](uint64_t id) {
    return std::erase_if(jobs, [&](const wire::Job& job) { return job.id == id; }) > 0;
  });
}

}  // namespace

void Pool::join(WorkerId worker, int slots, double now, data::EngineKind engine) {
  Worker& w = workers_[worker];
  w.engine = engine;
  w.slots = std::max(1, slots);
  w.heard = now;
}

void Pool::set_version(WorkerId worker, int64_t version, double now) {
  heard(worker, now);
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return;
  if (!in_rounds_) it->second.had_jobs = false;
  if (version > first_version_) {
    first_version_ = version;
    first_ready_ = now;
  }
  it->second.punctual = version == first_version_ && now - first_ready_ <= kPatienceSeconds;
  it->second.version = version;
  if (it->second.loading == version) it->second.loading = -1;
}

void Pool::heard(WorkerId worker, double now) {
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return;
  it->second.heard = now;
  if (!std::exchange(it->second.silent, false)) return;
  newly_silent_.erase(worker);
  for (const auto& [id, task] : it->second.running) update_waiting(task);
}

void Pool::notice_silence(double now) {
  for (auto& [id, worker] : workers_) {
    if (worker.silent || now - worker.heard <= options_.silence_seconds) continue;
    worker.silent = true;
    newly_silent_.insert(id);
    for (const auto& [job, task] : worker.running) update_waiting(task);
  }
}

void Pool::update_waiting(size_t index) {
  const Task& task = tasks_.at(index);
  const bool live = std::ranges::any_of(
      task.attempts, [&](const Attempt& a) { return !workers_.at(a.worker).silent; });
  if (live || task.done) {
    waiting_.erase(index);
  } else {
    waiting_.insert(index);
  }
}

void Pool::leave(WorkerId worker) {
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return;
  const auto running = std::move(it->second.running);
  for (const auto& [id, task] : running) {
    std::erase_if(tasks_.at(task).attempts, [&](const Attempt& a) { return a.worker == worker; });
    update_waiting(task);
  }
  newly_silent_.erase(worker);
  workers_.erase(it);
}

std::vector<size_t> Pool::begin(std::vector<wire::Job> jobs, int64_t version, double now) {
  LS_CHECK(tasks_.empty(), "the round before has not ended");
  in_rounds_ = true;
  next_index_ = 0;
  version_ = version;
  new_tokens_ = reissued_ = repeated_ = differing_ = 0;
  for (auto& [id, worker] : workers_) {
    worker.tokens = 0;
    worker.had_jobs = false;
    worker.since = now;
  }
  std::vector<size_t> complete;
  append(std::move(jobs), version, complete);
  return complete;
}

size_t Pool::append(std::vector<wire::Job> jobs, int64_t version, std::vector<size_t>& complete) {
  const size_t first = next_index_;
  for (wire::Job& job : jobs) {
    const size_t index = next_index_++;
    Task& task = tasks_[index];
    task.version = version;
    task.done = static_cast<int>(job.sample.tokens.size()) >= job.max_response_length;
    task.sample = job.sample;
    task.sample.finish = task.done ? data::FinishReason::length : data::FinishReason::partial;
    task.job = std::move(job);
    if (task.done) {
      complete.push_back(index);
    } else {
      waiting_.insert(waiting_.end(), index);
      ++left_;
    }
  }
  return first;
}

std::vector<data::Sample> Pool::end() {
  std::vector<data::Sample> samples;
  for (auto& [index, task] : tasks_) {
    while (!task.attempts.empty()) withdraw(index, Attempt(task.attempts.back()), true);
    samples.push_back(std::move(task.sample));
  }
  tasks_.clear();
  waiting_.clear();
  left_ = 0;
  return samples;
}

// Ends an attempt. `tell`: the worker is still busy with it.
void Pool::withdraw(size_t task, const Attempt& attempt, bool tell) {
  const uint64_t id = attempt.id;
  Worker& worker = workers_.at(attempt.worker);
  worker.running.erase(id);
  if (tell) worker.drop.push_back(id);
  std::erase_if(tasks_.at(task).attempts, [&](const Attempt& a) { return a.id == id; });
}

Result<std::optional<size_t>> Pool::receive(WorkerId worker, const wire::Piece& piece, double now) {
  heard(worker, now);
  const auto sender = workers_.find(worker);
  if (sender == workers_.end()) return std::optional<size_t>();
  const auto running = sender->second.running.find(piece.job);
  if (running == sender->second.running.end()) return std::optional<size_t>();  // dropped
  const size_t index = running->second;
  Task& task = tasks_.at(index);
  const auto attempt =
      std::ranges::find_if(task.attempts, [&](const Attempt& a) { return a.id == piece.job; });
  if (static_cast<size_t>(piece.begin) != attempt->next || piece.version != task.version) {
    return corrupt(
        "it sent a piece of a sample that does not follow the one before, or was made "
        "with weights of another version");
  }
  attempt->next += piece.tokens.size();
  attempt->begun = attempt->begun || !piece.tokens.empty();
  sender->second.tokens += static_cast<int64_t>(piece.tokens.size());
  if (!merge(piece, sender->second.engine, task.sample)) {
    withdraw(index, Attempt(*attempt), !piece.finished);
    update_waiting(index);
    return std::optional<size_t>();
  }
  if (!piece.finished) return std::optional<size_t>();
  complete(index, piece);
  return std::optional<size_t>(index);
}

// Appends what is new and compares what is not. False if the piece contains another token than the
// sample or ends before it: what follows belongs to another sample and is not appended.
bool Pool::merge(const wire::Piece& piece, data::EngineKind engine, data::Sample& sample) {
  const size_t known = sample.tokens.size(), first = static_cast<size_t>(piece.begin);
  bool same = !piece.finished || first + piece.tokens.size() >= known;
  for (size_t i = 0; i < piece.tokens.size(); ++i) {
    const size_t at = first + i;
    if (at < known) {
      ++repeated_;
      const bool same_token = sample.tokens[at] == piece.tokens[i];
      const bool same_bits = same_token && std::bit_cast<uint32_t>(sample.logprobs[at]) ==
                                               std::bit_cast<uint32_t>(piece.logprobs[i]);
      differing_ += same_bits ? 0 : 1;
      same = same && same_token;
      continue;
    }
    if (!same) break;
    sample.tokens.push_back(piece.tokens[i]);
    sample.logprobs.push_back(piece.logprobs[i]);
    ++new_tokens_;
  }
  const int begin = static_cast<int>(known), end = static_cast<int>(sample.tokens.size());
  if (end == begin) return same;
  if (!sample.segments.empty() && sample.segments.back().version == piece.version &&
      sample.segments.back().engine == engine) {
    sample.segments.back().end = end;
  } else {
    sample.segments.push_back({begin, end, piece.version, engine});
  }
  return same;
}

void Pool::complete(size_t index, const wire::Piece& piece) {
  Task& task = tasks_.at(index);
  task.sample.finish = piece.finish;
  task.sample.text = piece.text;
  task.done = true;
  --left_;
  completed_ = std::min(completed_ + 1, kTypicalOf);
  typical_length_ += (static_cast<double>(task.sample.tokens.size()) - typical_length_) /
                     static_cast<double>(completed_);
  while (!task.attempts.empty()) {
    const Attempt attempt = task.attempts.back();
    withdraw(index, attempt, attempt.id != piece.job);
  }
  update_waiting(index);
}

Status Pool::refuse(WorkerId worker, const wire::JobError& error) {
  const auto sender = workers_.find(worker);
  if (sender == workers_.end()) return ok_status();
  const auto running = sender->second.running.find(error.job);
  if (running == sender->second.running.end()) return ok_status();
  return ++tasks_.at(running->second).refusals < 2 ? ok_status() : internal_error(error.reason);
}

int Pool::ready_workers() const {
  return static_cast<int>(std::ranges::count_if(workers_, [&](const auto& w) {
    return usable(w.second, in_rounds_ ? version_ : w.second.version) && w.second.version >= 0;
  }));
}

double Pool::rate(const Worker& worker, double now) const {
  const double seconds = now - worker.since;
  return seconds < kRateSeconds ? 0 : static_cast<double>(worker.tokens) / seconds;
}

// A worker with so many jobs gets no further group now.
int64_t Pool::share(double now) const {
  if (!in_rounds_ || now - first_ready_ > kPatienceSeconds) return left_;
  int64_t ready = 0, soon = 0;
  for (const auto& [id, worker] : workers_) {
    if (worker.silent) continue;
    ready += worker.version == version_ ? 1 : 0;
    soon += worker.version != version_ && worker.punctual ? 1 : 0;
  }
  return soon == 0 ? left_ : (left_ + ready + soon - 1) / (ready + soon);
}

int64_t Pool::room(const Worker& worker) const {
  return std::min<int64_t>(worker.slots, share_) - static_cast<int64_t>(worker.running.size());
}

Pool::Worker* Pool::least_loaded(int64_t version, double now, WorkerId& best) {
  Worker* found = nullptr;
  for (auto& [id, worker] : workers_) {
    if (!usable(worker, version) || room(worker) <= 0) continue;
    if (found != nullptr && load(worker, now) >= load(*found, now)) continue;
    found = &worker;
    best = id;
  }
  return found;
}

// The job that continues a sample where its known tokens end.
wire::Job Pool::next_part(Task& task) {
  wire::Job job = task.job;
  // Forced tokens are scored in one piece, so such a job begins again.
  if (job.forced.empty()) {
    const int fresh = static_cast<int>(task.sample.tokens.size() - job.sample.tokens.size());
    job.sample = task.sample;
    if (job.segment_tokens > 0) job.segment_tokens -= fresh;
  }
  job.id = next_id_++;
  return job;
}

void Pool::give(size_t index, WorkerId worker, double now, std::vector<wire::Job>& jobs) {
  Task& task = tasks_.at(index);
  wire::Job job = next_part(task);
  Worker& to = workers_.at(worker);
  if (to.running.empty() && to.tokens == 0) to.since = now;
  to.had_jobs = true;
  to.running[job.id] = index;
  if (task.issues++ > 0) ++reissued_;
  task.attempts.push_back({worker, job.id, job.sample.tokens.size(), false, now});
  update_waiting(index);
  jobs.push_back(std::move(job));
}

// Groups stay together as far as the worker has room, because they share their prompt.
void Pool::give_waiting(double now, std::map<WorkerId, std::vector<wire::Job>>& jobs) {
  while (!waiting_.empty()) {
    WorkerId worker = 0;
    const Worker* to = least_loaded(waiting_version(), now, worker);
    if (to == nullptr) return;
    const Task& first = tasks_.at(*waiting_.begin());
    while (!waiting_.empty() && static_cast<int>(to->running.size()) < to->slots &&
           waiting_version() == first.version &&
           same_group(tasks_.at(*waiting_.begin()).job, first.job))
      give(*waiting_.begin(), worker, now, jobs[worker]);
  }
}

std::vector<Order> Pool::orders(double now) {
  notice_silence(now);
  share_ = share(now);
  fastest_ = 0;
  for (const auto& [id, worker] : workers_) fastest_ = std::max(fastest_, rate(worker, now));
  std::map<WorkerId, std::vector<wire::Job>> jobs;
  give_waiting(now, jobs);
  if (waiting_.empty()) share_with_idle(now, jobs);
  const std::map<WorkerId, int64_t> loads = choose_versions();
  std::vector<Order> out;
  for (auto& [id, worker] : workers_) {
    cancel_out(worker.drop, jobs[id]);
    if (worker.drop.empty() && jobs[id].empty() && !loads.contains(id)) continue;
    out.push_back({id, std::exchange(worker.drop, {}), std::move(jobs[id])});
    if (loads.contains(id)) out.back().load = loads.at(id);
  }
  return out;
}

std::vector<WorkerId> Pool::take_silent() {
  const std::set<WorkerId> silent = std::exchange(newly_silent_, {});
  return {silent.begin(), silent.end()};
}

bool Pool::is_silent(WorkerId worker) const {
  const auto it = workers_.find(worker);
  return it != workers_.end() && it->second.silent;
}

int64_t Pool::jobs_of(WorkerId worker) const {
  const auto it = workers_.find(worker);
  return it == workers_.end() ? 0 : static_cast<int64_t>(it->second.running.size());
}

Metrics Pool::metrics() const {
  return {{"rollout/reissued", static_cast<double>(reissued_)},
          {"rollout/repeated_tokens", static_cast<double>(repeated_)},
          {"rollout/differing_tokens", static_cast<double>(differing_)}};
}

}  // namespace longshot::rollout
