#pragma once
// Small helpers of the iteration: metrics of samples and groups, rows for the sample log, timing.

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

// Judges the finished samples. Partial samples get an empty verdict, which the replay buffer
// ignores.
std::vector<data::Verdict> judge(reward::RewardStage& rewards, replay::ReplayBuffer& replay,
                                 const std::vector<data::Sample>& samples);

// Detects broken rewards, so that the run stops instead of continuing without training data.
class RewardWatch {
 public:
  // invalid_argument with the most frequent reason if none of the finished samples could be judged
  // and they are enough to conclude that. Until a sample has been judged, samples of two prompts
  // are enough, or of one prompt if no sample is partial. Afterwards at least kMany samples of at
  // least kManyPrompts prompts are needed, because a single prompt may be impossible to judge.
  Status check(const std::vector<data::Sample>& samples,
               const std::vector<data::Verdict>& verdicts);
  // The most frequent reason of the last check; empty if all could be judged.
  const std::string& reason() const { return reason_; }

 private:
  static constexpr int kMany = 16, kManyPrompts = 4;
  bool judged_before_ = false;
  std::string reason_;
};

// Starts judging a finished sample of an open group.
void judge_ahead(reward::RewardStage& rewards, replay::ReplayBuffer& replay,
                 const data::Sample& sample);

// response_length/*, prompt_length/mean, rollout/partial_share, reward/error_share, ... of this
// iteration's samples.
void report_samples(const std::vector<data::Sample>& samples,
                    const std::vector<data::Verdict>& verdicts, Metrics& metrics);
// critic/score/*, critic/rewards/*, reward/NAME/mean, critic/accuracy,
// critic/groups_without_variance, replay/groups_taken of the trained groups.
void report_groups(const std::vector<data::Group>& groups, Metrics& metrics);

void record_success(prompts::PromptSampler& prompts, const data::Group& group);

// Returns the first `limit` samples (-1 = all), group by group, as rows of samples/*.jsonl.
std::vector<SampleRecord> sample_records(const std::vector<data::Group>& groups, int limit);

// "rollout 45% of 256 samples, 12,345 tokens"
std::string describe(const rollout::Progress& progress);
// Reward, accuracy, length, log-probability gap and speed; unjudged share and held-out accuracy if
// present.
std::string headline(const Metrics& metrics);
double peak_memory_gb();  // of this process, GiB

}  // namespace longshot::loop
