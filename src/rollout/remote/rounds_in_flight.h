#pragma once
// The rounds of a RoundGenerator over a pool, without network, clock and threads, so that tests can
// simulate any course. Not thread-safe.

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rollout/remote/pool.h"

namespace longshot::rollout {

class RoundsInFlight {
 public:
  struct Begin {
    std::vector<wire::Job> jobs;
    int64_t version = 0;
    // Makes the job that continues a sample in this round.
    std::function<wire::Job(data::Sample)> continued;
    std::set<std::pair<std::string, uint64_t>> groups;  // whose cut samples continue
  };
  struct Ended {
    int64_t version = 0;
    std::vector<data::Sample> samples;  // by prompt id, seed and index
    int64_t new_tokens = 0;
    double seconds = 0;  // since it began
  };

  explicit RoundsInFlight(Pool& pool) : pool_(pool) {}

  // See RoundGenerator::set_cut().
  void set_cut(std::vector<data::Sample> samples) { cut_ = std::move(samples); }
  void begin(Begin round, double now);
  // The sample of a job of the pool is complete. Returns it, and the number of its round.
  std::pair<data::Sample, int64_t> complete(size_t job, double now);

  bool empty() const { return rounds_.empty(); }
  bool oldest_has_ended() const { return !rounds_.empty() && rounds_.front().has_ended(); }
  Ended take_oldest();
  int64_t newest() const { return first_ + static_cast<int64_t>(rounds_.size()) - 1; }

 private:
  struct Round {
    Begin begin;
    bool has_all_jobs = false;  // the round before has ended, so it cuts no further sample
    int64_t unfinished = 0;
    int64_t tokens_before = 0;  // of all its jobs
    std::vector<data::Sample> samples;
    double began = 0, ended = -1;  // -1: it has not
    bool has_ended() const { return has_all_jobs && unfinished == 0; }
  };

  void add(Round& round, int64_t number, std::vector<wire::Job> jobs, double now);
  void continue_in(Round& round, int64_t number, data::Sample sample, double now);
  void settle(double now);

  Pool& pool_;
  std::deque<Round> rounds_;
  int64_t first_ = 0;                   // number of the oldest round
  std::map<size_t, int64_t> round_of_;  // job of the pool -> number of its round
  std::vector<data::Sample> cut_;       // by the newest round
};

}  // namespace longshot::rollout
