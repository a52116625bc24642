#pragma once
// Simulated workers under a pool, with a clock of their own: for tests of courses of events that no
// machine would show.

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "rollout/remote/pool.h"

namespace longshot::rollout {

// A model whose token depends only on the sample's identity and the position.
struct SimulatedModel {
  std::pair<data::TokenId, float> next(const data::Sample& sample, int position) const {
    const uint64_t key = hash_combine(hash_combine(hash64(sample.prompt_id), sample.seed),
                                      hash_combine(sample.index, static_cast<uint64_t>(position)));
    return {static_cast<data::TokenId>(key % 50000), -static_cast<float>(key % 1000) / 100};
  }
  // The response's length if nothing cuts it.
  int length(const data::Sample& sample) const {
    return 1 + static_cast<int>(hash_combine(hash64(sample.prompt_id), sample.index * 7 + 1) % 90);
  }
};

inline std::vector<wire::Job> simulated_jobs(int prompts, int per_prompt, int segment_tokens = 0) {
  std::vector<wire::Job> jobs;
  for (int p = 0; p < prompts; ++p) {
    for (int i = 0; i < per_prompt; ++i) {
      wire::Job& job = jobs.emplace_back();
      job.sample.prompt_id = "p" + std::to_string(p);
      job.sample.index = static_cast<uint32_t>(i);
      job.sample.seed = 3;
      job.sample.prompt_tokens = {1, 2, 3};
      job.max_response_length = 100;
      job.segment_tokens = segment_tokens;
    }
  }
  return jobs;
}

struct SimulationResult {
  bool finished = false;
  int wrong = 0;  // samples that are not those of the model
  int64_t reissued = 0, repeated = 0, differing = 0;
};

// One course of events, given by its seed: up to four workers, of speeds between 1 and 20 tokens a
// step for all their jobs, that crash, stall and are replaced.
class Simulation {
 public:
  explicit Simulation(uint64_t seed) : rng_(hash_combine(seed, 77)) {}

  SimulationResult run() {
    cap_ = chance(3) ? 1 + static_cast<int>(rng_.next_below(40)) : 0;
    jobs_ = simulated_jobs(1 + static_cast<int>(rng_.next_below(5)),
                           1 + static_cast<int>(rng_.next_below(4)), cap_);
    pool_.begin(jobs_, kVersion, now_);
    for (int step = 0; step < 20000 && !pool_.round_is_done(); ++step) {
      now_ += 0.1;
      change_workers(step);
      for (auto& [id, worker] : workers_) work(id, worker);
      std::erase_if(workers_, [](const auto& w) { return w.second.gone; });
      for (const Order& order : pool_.orders(now_)) deliver(order);
    }
    return result();
  }

 private:
  static constexpr int64_t kVersion = 9;
  struct Running {
    wire::Job job;
    int done = 0;  // new tokens
  };
  struct Worker {
    int speed = 1;
    double stalled_until = 0;
    bool gone = false;
    std::vector<Running> running;
    std::vector<Order> held;  // messages that reach it when it wakes up
  };

  bool chance(uint64_t in) { return rng_.next_below(in) == 0; }

  void change_workers(int step) {
    if (workers_.empty() || (workers_.size() < 4 && chance(40))) {
      const WorkerId id = next_++;
      workers_[id].speed = 1 + static_cast<int>(rng_.next_below(20));
      pool_.join(id, 1 + static_cast<int>(rng_.next_below(8)), now_);
      pool_.set_version(id, kVersion, now_);
    }
    if (step > 15000) return;  // faults end, so that every course does
    for (auto& [id, worker] : workers_) {
      if (chance(60)) {
        worker.gone = true;
        pool_.leave(id);
      } else if (chance(60)) {
        worker.stalled_until = now_ + 6 * rng_.next_double();
      }
    }
  }

  void work(WorkerId id, Worker& worker) {
    if (worker.gone || now_ < worker.stalled_until) return;
    for (const Order& order : std::exchange(worker.held, {})) accept(worker, order);
    pool_.heard(id, now_);
    int left = worker.speed;
    for (Running& running : worker.running) {
      const int count = std::min(left, 1 + static_cast<int>(rng_.next_below(6)));
      if (count > 0) left -= send(id, running, count);
    }
    std::erase_if(worker.running, [](const Running& r) { return r.done < 0; });
  }

  // Sends the next tokens of a job; `done` is -1 after the last. Returns the number of tokens.
  int send(WorkerId id, Running& running, int count) {
    const wire::Job& job = running.job;
    const int known = static_cast<int>(job.sample.tokens.size());
    const int whole = model_.length(job.sample);
    const int cut = job.segment_tokens > 0 ? std::min(whole, known + job.segment_tokens) : whole;
    wire::Piece piece;
    piece.job = job.id;
    piece.begin = known + running.done;
    piece.version = kVersion;
    const int end = std::min(cut, piece.begin + count);
    for (int at = piece.begin; at < end; ++at) {
      const auto [token, logprob] = model_.next(job.sample, at);
      piece.tokens.push_back(token);
      piece.logprobs.push_back(logprob);
    }
    piece.finished = end == cut;
    piece.finish = end == whole ? data::FinishReason::stop : data::FinishReason::partial;
    running.done = piece.finished ? -1 : end - known;
    LS_CHECK(pool_.receive(id, piece, now_).ok(), "a sound piece");
    return static_cast<int>(piece.tokens.size());
  }

  void deliver(const Order& order) {
    const auto it = workers_.find(order.worker);
    LS_CHECK(it != workers_.end(), "an order for a worker that has left");
    if (now_ < it->second.stalled_until) {
      it->second.held.push_back(order);
    } else {
      accept(it->second, order);
    }
  }

  void accept(Worker& worker, const Order& order) {
    std::erase_if(worker.running,
                  [&](const Running& r) { return std::ranges::count(order.drop, r.job.id) > 0; });
    for (const wire::Job& job : order.jobs) worker.running.push_back({job});
  }

  SimulationResult result() {
    SimulationResult out;
    out.finished = pool_.round_is_done();
    const Metrics metrics = pool_.metrics();
    out.reissued = static_cast<int64_t>(metrics.at("rollout/reissued"));
    out.repeated = static_cast<int64_t>(metrics.at("rollout/repeated_tokens"));
    out.differing = static_cast<int64_t>(metrics.at("rollout/differing_tokens"));
    int64_t tokens = 0;
    const int64_t counted = pool_.new_tokens();
    const auto samples = pool_.end();
    for (size_t i = 0; i < samples.size(); ++i) {
      out.wrong += is_right(samples[i], jobs_[i]) ? 0 : 1;
      tokens += static_cast<int64_t>(samples[i].tokens.size());
    }
    if (out.finished && tokens != counted) ++out.wrong;
    return out;
  }

  bool is_right(const data::Sample& sample, const wire::Job& job) const {
    const int whole = model_.length(job.sample), cut = cap_ > 0 ? std::min(cap_, whole) : whole;
    if (sample.index != job.sample.index || sample.prompt_id != job.sample.prompt_id) return false;
    if (static_cast<int>(sample.tokens.size()) != cut || sample.segments.size() != 1) return false;
    if ((sample.finish == data::FinishReason::partial) != (cut < whole)) return false;
    for (int at = 0; at < cut; ++at) {
      const auto [token, logprob] = model_.next(job.sample, at);
      if (sample.tokens[at] != token || sample.logprobs[at] != logprob) return false;
    }
    return sample.segments[0].begin == 0 && sample.segments[0].end == cut;
  }

  CounterRng rng_;
  SimulatedModel model_;
  Pool pool_{{.silence_seconds = 1}};
  std::map<WorkerId, Worker> workers_;
  std::vector<wire::Job> jobs_;
  double now_ = 0;
  WorkerId next_ = 1;
  int cap_ = 0;
};

}  // namespace longshot::rollout
