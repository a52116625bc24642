#pragma once
// Small helpers of the iteration: figures of samples and groups, rows for the sample log, timing.

#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/os/clock.h"
#include "base/run_log/run_log.h"
#include "data/types.h"
#include "prompts/sampler.h"
#include "replay/replay_buffer.h"
#include "reward/reward.h"
#include "rollout/engine.h"

namespace longshot::loop {

// Splits an iteration's time: each lap is the time since the one before.
class Timer {
 public:
  explicit Timer(Metrics& metrics) : metrics_(metrics) {}
  void lap(const std::string& name) {
    metrics_[name] = watch_.seconds();
    watch_.restart();
  }

 private:
  Metrics& metrics_;
  Stopwatch watch_;
};

// Verdicts of the finished samples; partial ones get an empty verdict that nobody reads.
std::vector<data::Verdict> judge(reward::RewardStage& rewards, replay::ReplayBuffer& replay,
                                 const std::vector<data::Sample>& samples);

// Decides when rewards are broken, so that the run is stopped instead of trained on nothing.
class RewardWatch {
 public:
  // invalid_argument with the most frequent reason if none of the finished samples could be judged:
  // of the first samples ever, or later of at least kMany of kManyPrompts prompts, since one prompt
  // may be one that cannot be judged.
  Status check(const std::vector<data::Sample>& samples,
               const std::vector<data::Verdict>& verdicts);
  // Of the last check; empty if all could be judged.
  const std::string& reason() const { return reason_; }

 private:
  static constexpr int kMany = 16, kManyPrompts = 4;
  bool judged_before_ = false;
  std::string reason_;
};

// Begins to judge a sample of an open group that has ended.
void judge_ahead(reward::RewardStage& rewards, replay::ReplayBuffer& replay,
                 const data::Sample& sample);

// response_length/*, prompt_length/mean, rollout/partial_share, reward/error_share, ... of this
// iteration's samples.
void report_samples(const std::vector<data::Sample>& samples,
                    const std::vector<data::Verdict>& verdicts, Metrics& metrics);
// critic/score/*, critic/rewards/*, critic/accuracy, critic/groups_without_variance of the trained
// groups.
void report_groups(const std::vector<data::Group>& groups, Metrics& metrics);

void record_success(prompts::PromptSampler& prompts, const data::Group& group);

// At most `limit` samples (-1 = all), whole groups first, as rows of samples/*.jsonl.
std::vector<SampleRecord> sample_records(const std::vector<data::Group>& groups, int limit);

std::string describe(const rollout::Progress& progress);  // "45% 1,234 tok/s"
std::string headline(const Metrics& metrics);  // reward, length, speed, held-out accuracy
double peak_memory_gb();                       // of this process, GiB

}  // namespace longshot::loop
