#pragma once
// The figures of an iteration: its times, the metrics of its samples and groups, and its line on
// the terminal.

#include <cstdint>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/os/clock.h"
#include "data/types.h"

namespace longshot::loop {

// Splits an iteration's time: each lap is the time since the one before. Laps of one name are
// added.
class Timer {
 public:
  explicit Timer(Metrics& metrics) : metrics_(metrics) {}
  void lap(const std::string& name) {
    metrics_[name] += watch_.seconds();
    watch_.restart();
  }

 private:
  Metrics& metrics_;
  Stopwatch watch_;
};

// response_length/*, prompt_length/mean, rollout/partial_share, reward/error_share, ... of an
// iteration's samples. verdicts[i] belongs to samples[i]. Without a finished sample there is only
// rollout/partial_share, and without a sample nothing.
class SampleReport {
 public:
  void add(const std::vector<data::Sample>& samples, const std::vector<data::Verdict>& verdicts);
  void report(Metrics& metrics) const;

 private:
  void add(const data::Sample& sample, const data::Verdict& verdict);
  Summary length_, prompt_length_, cut_, loops_, partial_, errors_;
};
// critic/score/*, critic/rewards/*, reward/NAME/mean, critic/accuracy,
// critic/groups_without_variance, replay/groups_taken of the trained groups. If nothing was judged,
// only the last one is present.
void report_groups(const std::vector<data::Group>& groups, Metrics& metrics);

// replay/staleness/mean and replay/staleness/max: how many versions of the weights before `version`
// the oldest token of each trained sample is. Without a sample there is neither.
void report_staleness(const std::vector<data::Group>& groups, int64_t version, Metrics& metrics);

// Reward, accuracy, length, log-probability gap, speed, unjudged share and held-out accuracy, each
// if it is present.
std::string headline(const Metrics& metrics);

}  // namespace longshot::loop
