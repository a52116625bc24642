#include "loop/simulation/round.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <queue>
#include <set>

#include "base/check.h"
#include "rollout/remote/pool.h"

namespace longshot::loop {
namespace {

constexpr int64_t kVersion = 1;
constexpr double kLookSeconds = 0.1;  // as in a run, the pool is asked while a worker is idle
constexpr double kNever = 1e18;       // seconds
constexpr double kMostTokens = 2e6;   // that are simulated one by one

class Simulation {
 public:
  Simulation(const StepCosts& costs, const SimulatedJobs& jobs,
             const std::vector<SimulatedWorker>& workers, const Intake& intake)
      : costs_(costs), jobs_(jobs), intake_(intake), pool_({.silence_seconds = kNever}) {
    double tokens = 0;
    for (const int length : jobs.lengths) tokens += length;
    unit_ = std::max(1.0, std::ceil(tokens / kMostTokens));
    for (const SimulatedWorker& worker : workers) workers_.emplace_back().options = worker;
  }

  SimulatedRound run() {
    for (size_t i = 0; i < workers_.size(); ++i) {
      pool_.join(i, workers_[i].options.slots, 0);
      at(workers_[i].options.ready, [this, i] {
        pool_.set_version(i, kVersion, now_);
        send_orders();
      });
    }
    pool_.begin(make_jobs(), kVersion, 0);
    while (!pool_.round_is_done()) {
      LS_CHECK(!events_.empty(), "a sample is left, and nothing will happen");
      const auto next = events_.begin();
      now_ = next->first;
      const std::function<void()> act = std::move(next->second);
      events_.erase(next);
      act();
    }
    result_.seconds = now_;
    result_.judged = judged();
    result_.moved = static_cast<int64_t>(pool_.metrics().at("rollout/reissued"));
    return result_;
  }

 private:
  struct Running {
    uint64_t job = 0, group = 0;
    int done = 0, sent = 0, length = 0;  // units of tokens
  };
  struct Worker {
    SimulatedWorker options;
    std::vector<Running> running;
    std::vector<rollout::Order> inbox;
    bool computing = false;
    // Of what it computes: the end is begin + prefill + steps * step.
    double begin = 0, prefill = 0, step = 0;
    int steps = 0;
    uint64_t turn = 0;  // tells an end that was brought forward from the one before
  };

  void at(double time, std::function<void()> act) { events_.emplace(time, std::move(act)); }

  std::vector<wire::Job> make_jobs() const {
    std::vector<wire::Job> jobs;
    for (size_t i = 0; i < jobs_.lengths.size(); ++i) {
      wire::Job& job = jobs.emplace_back();
      job.sample.seed = i / static_cast<size_t>(jobs_.n);  // the group
      job.sample.index = static_cast<uint32_t>(i);
      job.max_response_length =
          std::max(1, static_cast<int>(std::lround(jobs_.lengths[i] / unit_)));
    }
    return jobs;
  }

  void send_orders() {
    for (rollout::Order& order : pool_.orders(now_)) {
      const size_t i = order.worker;
      at(now_ + workers_[i].options.latency, [this, i, order = std::move(order)] {
        workers_[i].inbox.push_back(order);
        workers_[i].computing ? cut_short(i) : compute(i);
      });
    }
    look_later();
  }

  // An idle worker may take over samples after a while.
  void look_later() {
    const bool idle = std::ranges::any_of(workers_, [](const Worker& w) { return !w.computing; });
    if (looking_ || !idle) return;
    looking_ = true;
    at(now_ + kLookSeconds, [this] {
      looking_ = false;
      send_orders();
    });
  }

  // A message is read after the step during which it arrives.
  void cut_short(size_t i) {
    Worker& w = workers_[i];
    const double elapsed = (now_ - w.begin - w.prefill) / w.step;
    const int steps = std::max(1, static_cast<int>(std::ceil(elapsed - 1e-9)));
    if (steps >= w.steps) return;
    w.steps = steps;
    end_later(i);
  }

  void end_later(size_t i) {
    Worker& w = workers_[i];
    const uint64_t turn = ++w.turn;
    at(w.begin + w.prefill + w.steps * w.step, [this, i, turn] {
      if (workers_[i].turn == turn) end_steps(i);
    });
  }

  // Takes new jobs, and begins steps up to the next piece or the end of a sample.
  void compute(size_t i) {
    Worker& w = workers_[i];
    w.begin = now_;
    w.prefill = 0;
    for (const rollout::Order& order : std::exchange(w.inbox, {})) take(w, order);
    w.computing = !w.running.empty();
    if (!w.computing) return look_later();
    w.steps = std::max(1, static_cast<int>(kPieceTokens / unit_));
    double context = 0;
    for (const Running& r : w.running) {
      w.steps = std::min(w.steps, r.length - r.done);
      context += r.done;
    }
    const auto count = static_cast<double>(w.running.size());
    context += count * w.steps / 2;
    w.step = unit_ * (costs_.step(count) + costs_.context * context * unit_) / w.options.speed;
    end_later(i);
  }

  void take(Worker& w, const rollout::Order& order) {
    std::erase_if(w.running,
                  [&](const Running& r) { return std::ranges::count(order.drop, r.job) > 0; });
    for (const wire::Job& job : order.jobs) {
      const uint64_t group = job.sample.seed;
      const bool known =
          std::ranges::any_of(w.running, [&](const Running& r) { return r.group == group; });
      const int done = static_cast<int>(job.sample.tokens.size());
      const double read = (known ? 0 : jobs_.prompt) + done * unit_;
      w.prefill += read * costs_.prompt_token / w.options.speed;
      w.running.push_back({job.id, group, done, done, job.max_response_length});
    }
  }

  // Tokens are sent in pieces, the last ones with the end of their sample.
  void end_steps(size_t i) {
    Worker& w = workers_[i];
    result_.busy += w.prefill + w.steps * w.step;
    std::vector<wire::Piece> pieces;
    for (Running& r : w.running) {
      r.done += w.steps;
      const int fresh = r.done - r.sent;
      const bool ended = r.done >= r.length;
      if (!ended && fresh * unit_ < kPieceTokens) continue;
      wire::Piece& piece = pieces.emplace_back();
      piece.job = r.job;
      piece.begin = std::exchange(r.sent, r.done);
      piece.tokens.resize(static_cast<size_t>(fresh));
      piece.logprobs.resize(piece.tokens.size());
      piece.version = kVersion;
      piece.finished = ended;
      piece.finish = data::FinishReason::stop;
    }
    std::erase_if(w.running, [](const Running& r) { return r.done >= r.length; });
    if (!pieces.empty()) send(i, std::move(pieces));
    compute(i);
  }

  // Pieces wait for those before them in the coordinator.
  void send(size_t i, std::vector<wire::Piece> pieces) {
    const SimulatedWorker& options = workers_[i].options;
    double bytes = 0, messages = 0;
    for (const wire::Piece& piece : pieces) {
      const double tokens = unit_ * static_cast<double>(piece.tokens.size());
      const double count = std::max(1.0, tokens / kPieceTokens);
      bytes += tokens * kTokenBytes + count * kPieceBytes;
      messages += count;
    }
    result_.bytes += bytes;
    result_.pieces += messages;
    const double sent = now_ + bytes / options.bytes_per_second + options.latency;
    at(sent, [this, i, bytes, messages, pieces = std::move(pieces)]() mutable {
      free_ = std::max(free_, now_) + bytes / intake_.bytes_per_second +
              messages * intake_.message_seconds;
      at(free_, [this, i, pieces = std::move(pieces)] { receive(i, pieces); });
    });
  }

  // All that arrives at a moment is taken in before the pool is asked.
  void receive(size_t worker, const std::vector<wire::Piece>& pieces) {
    const size_t before = arrived_.size();
    for (const wire::Piece& piece : pieces) {
      const auto index = pool_.receive(worker, piece, now_);
      LS_CHECK(index.ok(), index.status().message());
      if (*index) arrived_.push_back(now_);
    }
    if (arrived_.size() == before || asking_) return;
    asking_ = true;
    at(now_, [this] {
      asking_ = false;
      send_orders();
    });
  }

  // Samples are judged in the order in which they arrive.
  double judged() const {
    std::multiset<double> free;
    for (int i = 0; i < intake_.reward_threads; ++i) free.insert(0);
    for (const double time : arrived_) {
      const double begin = std::max(time, *free.begin());
      free.erase(free.begin());
      free.insert(begin + intake_.reward_seconds);
    }
    return std::max(now_, *free.rbegin());
  }

  const StepCosts& costs_;
  const SimulatedJobs& jobs_;
  const Intake& intake_;
  rollout::Pool pool_;
  std::vector<Worker> workers_;
  std::multimap<double, std::function<void()>> events_;  // those of a time in their order
  std::vector<double> arrived_;                          // samples, ascending
  double unit_ = 1;                                      // tokens that are simulated as one
  double now_ = 0;
  double free_ = 0;  // when the coordinator has taken in everything before
  bool looking_ = false, asking_ = false;
  SimulatedRound result_;
};

// What each host gets of the uplink, which is shared equally up to each host's link.
std::vector<double> shares(double uplink, const std::vector<double>& links,
                           const std::vector<size_t>& hosts) {
  std::vector<double> share(links.size(), 0);
  std::vector<size_t> order = hosts;  // the slowest first
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return links[a] < links[b]; });
  double left = uplink;
  for (size_t i = 0; i < order.size(); ++i) {
    share[order[i]] = std::min(links[order[i]], left / static_cast<double>(order.size() - i));
    left -= share[order[i]];
  }
  return share;
}

}  // namespace

double StepCosts::step(double running) const {
  if (points.size() == 1) return points.front().second;
  size_t right = 1;
  while (right + 1 < points.size() && points[right].first < running) ++right;
  const auto [x0, y0] = points[right - 1];
  const auto [x1, y1] = points[right];
  return y0 + (y1 - y0) * (std::max(running, points.front().first) - x0) / (x1 - x0);
}

StepCosts scaled(StepCosts costs, double factor) {
  for (auto& [running, seconds] : costs.points) seconds *= factor;
  costs.context *= factor;
  costs.prompt_token *= factor;
  return costs;
}

SimulatedRound simulate_round(const StepCosts& costs, const SimulatedJobs& jobs,
                              const std::vector<SimulatedWorker>& workers, const Intake& intake) {
  LS_CHECK(!costs.points.empty() && !jobs.lengths.empty() && !workers.empty(),
           "a round has costs, samples and workers");
  return Simulation(costs, jobs, workers, intake).run();
}

std::vector<double> fetch_seconds(double bytes, double uplink, const std::vector<double>& links) {
  std::vector<double> seconds(links.size(), 0), left(links.size(), bytes);
  std::vector<size_t> active(links.size());
  for (size_t i = 0; i < active.size(); ++i) active[i] = i;
  double now = 0;
  while (!active.empty() && bytes > 0) {
    const std::vector<double> rate = shares(uplink, links, active);
    double next = kNever;
    for (const size_t i : active) next = std::min(next, left[i] / rate[i]);
    now += next;
    for (const size_t i : active) {
      left[i] -= next * rate[i];
      seconds[i] = now;
    }
    std::erase_if(active, [&](size_t i) { return left[i] <= 1e-9 * bytes; });
  }
  return seconds;
}

}  // namespace longshot::loop
