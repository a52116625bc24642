#pragma once
// The reward step of an iteration: judges the samples of the replay buffer's open groups, notices
// broken rewards, and tells the prompt sampler how often each prompt succeeds.

#include <string>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "prompts/sampler.h"
#include "replay/replay_buffer.h"
#include "reward/reward.h"

namespace longshot::loop {

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

// The scores of the samples that could be judged.
std::vector<double> scores_of(const data::Group& group);
// False if the scores are all equal, up to rounding, or there are none: such a group has no
// gradient.
bool has_variance(const data::Group& group);

// Tells the sampler the share of right samples among those with a score, if there are any, and
// whether their scores differ.
void record_outcome(prompts::PromptSampler& prompts, const data::Group& group);

}  // namespace longshot::loop
