#include "loop/rl/reward_step.h"

#include <fmt/format.h>

#include <set>

#include "base/check.h"
#include "base/metrics.h"
#include "train/advantage/advantage.h"

namespace longshot::loop {

using data::FinishReason;

std::vector<data::Verdict> judge(reward::RewardStage& rewards, replay::ReplayBuffer& replay,
                                 const std::vector<data::Sample>& samples) {
  std::vector<const data::Prompt*> prompt_of;
  std::vector<const data::Sample*> finished;
  std::vector<size_t> index;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (samples[i].finish == FinishReason::partial) continue;
    prompt_of.push_back(replay.find_prompt(samples[i].prompt_id, samples[i].seed));
    LS_CHECK(prompt_of.back() != nullptr, "sample of a group that was not opened");
    finished.push_back(&samples[i]);
    index.push_back(i);
  }
  std::vector<data::Verdict> verdicts(samples.size());
  std::vector<data::Verdict> judged = rewards.judge(prompt_of, finished);
  for (size_t i = 0; i < judged.size(); ++i) verdicts[index[i]] = std::move(judged[i]);
  return verdicts;
}

void judge_ahead(reward::RewardStage& rewards, replay::ReplayBuffer& replay,
                 const data::Sample& sample) {
  const data::Prompt* prompt = replay.find_prompt(sample.prompt_id, sample.seed);
  LS_CHECK(prompt != nullptr, "sample of a group that was not opened");
  rewards.judge_ahead(*prompt, sample);
}

Status RewardWatch::check(const std::vector<data::Sample>& samples,
                          const std::vector<data::Verdict>& verdicts) {
  std::set<std::string> prompts;
  int failed = 0, partial = 0, judged = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (samples[i].finish == FinishReason::partial) {
      ++partial;
    } else if (verdicts[i].scored) {
      ++judged;
    } else {
      ++failed;
      prompts.insert(samples[i].prompt_id);
    }
  }
  reason_ = reward::most_frequent_error(verdicts);
  const int count = static_cast<int>(prompts.size());
  const bool hopeless = judged_before_ ? failed >= kMany && count >= kManyPrompts
                                       : failed > 0 && (partial == 0 || count > 1);
  judged_before_ = judged_before_ || judged > 0;
  if (judged > 0 || !hopeless) return ok_status();
  return invalid_argument(
      fmt::format("none of the {} finished samples could be judged: {}", failed, reason_));
}

std::vector<double> scores_of(const data::Group& group) {
  std::vector<double> scores;
  for (const data::Verdict& v : group.verdicts)
    if (v.scored) scores.push_back(v.score);
  return scores;
}

bool has_variance(const data::Group& group) {
  return !train::equal_rewards(scores_of(group));
}

void record_outcome(prompts::PromptSampler& prompts, const data::Group& group) {
  Summary correct, score;
  for (const data::Verdict& v : group.verdicts) {
    if (!v.scored) continue;
    correct.add(v.correct ? 1 : 0);
    score.add(v.score);
  }
  if (correct.count() == 0) return;
  prompts.record(group.prompt.id, correct.mean());
  prompts.record_rewards(group.prompt.id, has_variance(group), score.mean());
}

}  // namespace longshot::loop
