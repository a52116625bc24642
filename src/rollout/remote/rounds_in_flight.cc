#include "rollout/remote/rounds_in_flight.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"

namespace longshot::rollout {
namespace {

auto identity(const data::Sample& s) {
  return std::tie(s.prompt_id, s.seed, s.index);
}

}  // namespace

void RoundsInFlight::begin(Begin begin, double now) {
  const bool alone = rounds_.empty() || rounds_.back().has_ended();
  Round& round = rounds_.emplace_back();
  const int64_t number = newest();
  std::vector<wire::Job> jobs = std::move(begin.jobs);
  round.begin = std::move(begin);
  round.began = now;
  // Continued samples are the longer ones, so they begin first.
  for (data::Sample& sample : std::exchange(cut_, {}))
    continue_in(round, number, std::move(sample), now);
  add(round, number, std::move(jobs), now);
  round.has_all_jobs = alone;
  settle(now);
}

void RoundsInFlight::continue_in(Round& round, int64_t number, data::Sample sample, double now) {
  if (!round.begin.groups.contains({sample.prompt_id, sample.seed})) return;
  add(round, number, {round.begin.continued(std::move(sample))}, now);
}

void RoundsInFlight::add(Round& round, int64_t number, std::vector<wire::Job> jobs, double now) {
  const size_t count = jobs.size();
  for (const wire::Job& job : jobs)
    round.tokens_before += static_cast<int64_t>(job.sample.tokens.size());
  std::vector<size_t> at_once;
  const size_t first = pool_.add(std::move(jobs), round.begin.version, now, at_once);
  for (size_t i = 0; i < count; ++i) round_of_[first + i] = number;
  round.unfinished += static_cast<int64_t>(count);
  // They end as their maximal length, so nothing continues them.
  for (const size_t job : at_once) {
    round.samples.push_back(pool_.take(job));
    round_of_.erase(job);
    --round.unfinished;
  }
}

std::pair<data::Sample, int64_t> RoundsInFlight::complete(size_t job, double now) {
  const auto it = round_of_.find(job);
  LS_CHECK(it != round_of_.end(), "a job of a round in flight");
  const int64_t number = it->second;
  round_of_.erase(it);
  data::Sample sample = pool_.take(job);
  Round& round = rounds_[static_cast<size_t>(number - first_)];
  round.samples.push_back(sample);
  if (sample.finish == data::FinishReason::partial) {
    if (number == newest()) {
      cut_.push_back(sample);
    } else {
      continue_in(rounds_[static_cast<size_t>(number + 1 - first_)], number + 1, sample, now);
    }
  }
  --round.unfinished;
  settle(now);
  return {std::move(sample), number};
}

// A round that has ended completes the jobs of the next one.
void RoundsInFlight::settle(double now) {
  for (size_t i = 0; i < rounds_.size() && rounds_[i].has_ended(); ++i) {
    if (rounds_[i].ended < 0) rounds_[i].ended = now;
    if (i + 1 < rounds_.size()) rounds_[i + 1].has_all_jobs = true;
  }
}

RoundsInFlight::Ended RoundsInFlight::take_oldest() {
  LS_CHECK(oldest_has_ended(), "the oldest round has ended");
  Round round = std::move(rounds_.front());
  rounds_.pop_front();
  ++first_;
  std::ranges::sort(round.samples, [](const data::Sample& a, const data::Sample& b) {
    return identity(a) < identity(b);
  });
  Ended out;
  out.version = round.begin.version;
  out.new_tokens = -round.tokens_before;
  for (const data::Sample& sample : round.samples)
    out.new_tokens += static_cast<int64_t>(sample.tokens.size());
  out.samples = std::move(round.samples);
  out.seconds = std::max(0.0, round.ended - round.began);
  return out;
}

}  // namespace longshot::rollout
