#pragma once
// Rewards: a completion and its ground truth become a score, or an error that says why there is
// none.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/metrics.h"
#include "base/os/clock.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "data/types.h"

namespace longshot::reward {

// The input of a reward function.
struct Question {
  std::string data_source;
  std::string prompt;                   // text of the last user message, or the raw prompt
  std::vector<data::Message> messages;  // the whole chat; empty if the prompt is raw text
  std::string completion;               // the response
  std::string ground_truth;             // as text
  Json ground_truth_json;               // the row's value if it is not a string, else null
  Json extra_info;
  data::FinishReason finish = data::FinishReason::stop;
  int response_tokens = 0;
};

struct Score {
  double value = 0;  // usually in [0, 1]
  bool correct = false;
  std::string answer;                          // the extracted answer, for people to read
  std::map<std::string, double> figures = {};  // further numbers for the metrics
  // Values of the steps of the completion, within its characters; empty: the reward gives none.
  std::vector<data::StepValue> step_values = {};
  bool applies = true;  // false: the reward says nothing of this sample, and the rest is not set
};

// One reward function. Thread-safe: judge() is called from several threads.
// A Status is the reward's own failure (timeout, crash, unavailable) and never becomes a score.
class Reward {
 public:
  virtual ~Reward() = default;
  virtual std::string name() const = 0;
  // Starts everything that judging needs outside this process. Returns an error if that can never
  // work.
  virtual Status prepare() { return ok_status(); }
  virtual Result<Score> judge(const Question& question, Deadline deadline) = 0;
  // The time limit of a judgement of `question`, in seconds. `timeout` is the configured limit; a
  // reward whose work grows with the ground truth returns more.
  virtual double max_seconds(const Question& question, double timeout) const {
    (void)question;
    return timeout;
  }
};

// A kind of reward, looked up by its name. `make` checks the options; its error names the option
// that is unknown or wrong.
struct RewardType {
  const char* type;
  Result<std::unique_ptr<Reward>> (*make)(const Json& options);
  bool decides_correct;  // the default in parse_reward_list
};

// One entry of the config's list.
struct RewardSpec {
  // "auto", "math", "choice", "countdown", "exact", "reasoning_gym", "ifeval", "format",
  // "repetition" (reward/rules/rules.h describes them and their options), "python", "command",
  // "http"
  // (reward/external/external.h), "code" (reward/code/code.h), "judge" (reward/judge/judge.h), or
  // one of `more` below.
  std::string type;
  double weight = 1.0;
  bool decides_correct = true;       // its `correct` contributes to accuracy
  Json options;                      // type-specific: {"path": ...}, {"url": ...}, {"pattern": ...}
  const RewardType* kind = nullptr;  // null: looked up by `type` among the built-in kinds
};
// "auto" chooses by data_source: countdown, multiple choice, reasoning-gym, else math (make_auto in
// reward/rules/rules.h).
Result<std::unique_ptr<Reward>> make_reward(const RewardSpec& spec);

// The config's `reward.functions`: a list of "type", "type:weight" or objects
//   {"type": "format", "weight": 0.1, "decides_correct": false, "pattern": "..."}
// whose other members are the type's options. "format" and "repetition" do not decide correctness
// unless the object says so. `more`: additional kinds, for example those of reward/learned. They
// take precedence over built-in kinds of the same name and are borrowed by the result.
Result<std::vector<RewardSpec>> parse_reward_list(const Json& json,
                                                  std::span<const RewardType> more = {});

// The caller must pass numbers within the ranges of their keys (config/sections/reward.cc).
struct RewardOptions {
  std::vector<RewardSpec> rewards;  // empty = one "auto"
  double timeout_seconds = 10;
  int retries = 2;  // only after a timeout or an unavailable service; other failures are final
  int threads = 1;
  double repetition_penalty = 0.5;
  double length_weight = 0;  // report 2.3.3
  int length_warmup_iterations = 0;
  // The penalty of long responses (overlong_penalty()); 0 tokens: none.
  int overlong_buffer = 0, max_response_length = 0;
  double overlong_penalty = 1;
};

// Returns the most frequent error among the verdicts without a score, at a tie the one that occurs
// first. Empty if all verdicts have a score.
std::string most_frequent_error(std::span<const data::Verdict> verdicts);

// The error of a sample to which no reward applies.
inline constexpr char kNoRewardApplies[] = "no reward applies to this sample";

// The stage: judges samples with the combined rewards.
class RewardStage {
 public:
  // Prepares every reward, so that, for example, code that cannot be loaded is found before any
  // work.
  static Result<std::unique_ptr<RewardStage>> create(const RewardOptions& options);
  ~RewardStage();

  // Judges all samples in parallel. verdicts[i] belongs to samples[i], whose prompt is prompts[i]
  // (borrowed).
  // score = sum of weight * value over the rewards that apply - repetition_penalty (where it does).
  // correct = every deciding reward says so, or score > 0 if no reward decides. If no reward
  // applies, the verdict is an error.
  // If a reward fails, the verdict is an error that names it. Samples that are not finished
  // (partial, aborted) also get an error, and so does, soon after stop_requested(), every sample
  // that is still waiting ("cancelled").
  std::vector<data::Verdict> judge(const std::vector<const data::Prompt*>& prompts,
                                   const std::vector<const data::Sample*>& samples);

  // Starts to judge a finished sample while others are still being generated. The next judge() uses
  // the result instead of judging the sample again. Samples are identified by (prompt id, seed,
  // index). May be called from any thread, also while judge() judges others. Copies what it needs.
  void judge_ahead(const data::Prompt& prompt, const data::Sample& sample);
  // The sample will not be judged: discards what judge_ahead() started.
  void forget(const data::Sample& sample);
  // Waits for the judgements that judge_ahead() started and discards their results, because the
  // samples will not be judged.
  void drop_ahead();

  // Adds the weighted length reward of the report (section 2.3.3 there) to the scores, from
  // iteration `length_warmup_iterations` on, and the penalty of long responses. Samples whose
  // verdict is an error get neither and do not affect the minimum and maximum.
  void shape(std::vector<data::Group>& groups, int64_t iteration);

  // Metrics since the last call: reward/errors (verdicts of judge()), reward/timeouts and
  // reward/retries (calls), and for each reward function reward/NAME/errors and
  // reward/NAME/timeouts (calls). Timing metrics (not reproducible): reward/seconds/mean, max and
  // min of a sample's judgement, reward/seconds/NAME, the mean of a call, and
  // perf/judgements_waiting_max, the largest number of judgements started by judge_ahead() and
  // unfinished at a time.
  Metrics take_metrics();

 private:
  class Impl;
  explicit RewardStage(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Report, length penalty: lambda = 0.5 - (len - min) / (max - min); lambda if correct, min(0,
// lambda) if not; all 0 if max = min.
std::vector<double> length_rewards(const std::vector<int>& lengths,
                                   const std::vector<bool>& correct);

// DAPO (2503.14476, equation 13): 0 up to max_length - buffer tokens, then in proportion down to -1
// at max_length. buffer: > 0.
double overlong_penalty(int tokens, int max_length, int buffer);

}  // namespace longshot::reward
