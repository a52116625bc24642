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

// What a reward function sees.
struct Question {
  std::string data_source;
  std::string prompt;                   // text of the last user message, or the raw prompt
  std::vector<data::Message> messages;  // the whole chat; empty where the prompt is raw text
  std::string completion;               // the response
  std::string ground_truth;             // as text
  Json ground_truth_json;               // as the row has it if it is not a string there, else null
  Json extra_info;
  data::FinishReason finish = data::FinishReason::stop;
  int response_tokens = 0;
};

struct Score {
  double value = 0;  // usually in [0, 1]
  bool correct = false;
  std::string answer;                          // what was extracted, for people
  std::map<std::string, double> figures = {};  // further ones, for the metrics
};

// One reward function. Thread-safe: judge() is called from several threads.
// A Status is the reward's own failure (timeout, crash, unavailable) and never becomes a score.
class Reward {
 public:
  virtual ~Reward() = default;
  virtual std::string name() const = 0;
  // Starts what judging needs outside this process; an error if that will never work.
  virtual Status prepare() { return ok_status(); }
  virtual Result<Score> judge(const Question& question, Deadline deadline) = 0;
  // The seconds that a judgement of the question gets where the configuration says `timeout`: more for one whose work
  // grows with its ground truth.
  virtual double most_seconds(const Question& question, double timeout) const {
    (void)question;
    return timeout;
  }
};

// A kind of reward by its name. `make` checks the options and names an unknown or wrong one.
struct RewardType {
  const char* type;
  Result<std::unique_ptr<Reward>> (*make)(const Json& options);
  bool decides_correct;  // the default in parse_reward_list
};

// One entry of the config's list.
struct RewardSpec {
  // "auto", "math", "choice", "countdown", "exact", "reasoning_gym", "format", "repetition"
  // (reward/rules/rules.h says what each does and takes), "python", "command", "http" (reward/external/plugins.h),
  // "code" (reward/code/code.h), "judge" (reward/judge/judge.h), or one of `more` below.
  std::string type;
  double weight = 1.0;
  bool decides_correct = true;       // whether this one's `correct` counts for accuracy
  Json options;                      // type-specific: {"path": ...}, {"url": ...}, {"pattern": ...}
  const RewardType* kind = nullptr;  // null: looked up by `type` among those named above
};
// "auto" chooses by data_source: countdown, multiple choice, reasoning-gym, else math (make_auto in
// reward/rules/rules.h).
Result<std::unique_ptr<Reward>> make_reward(const RewardSpec& spec);

// The config's `reward.functions`: a list of "type", "type:weight" or objects
//   {"type": "format", "weight": 0.1, "decides_correct": false, "pattern": "..."}
// whose other members are the type's options. "format" and "repetition" do not decide correctness
// unless told so. `more`: kinds that a folder above brings, such as reward/learned's; they count before those of the same name
// here, and are borrowed by the result.
Result<std::vector<RewardSpec>> parse_reward_list(const Json& json,
                                                  std::span<const RewardType> more = {});

struct RewardOptions {
  std::vector<RewardSpec> rewards;  // empty = one "auto"
  double timeout_seconds = 10;      // per call
  int retries = 2;  // after a timeout or an unavailable service; other failures are final
  int threads = 1;
  double repetition_penalty = 0.5;    // subtracted when a sample ended by repeat detection
  double length_weight = 0;           // weight of the length reward (report 2.2)
  int length_warmup_iterations = 0;   // iterations before it is switched on
  std::span<const RewardType> types;  // what parse_reward_list knows beside its own
};

// The reason that most of the verdicts without a score have, the first of them at a tie; empty if
// all have a score.
std::string most_frequent_error(std::span<const data::Verdict> verdicts);

// The stage: judges samples with the combined rewards.
class RewardStage {
 public:
  // Prepares every reward, so that code that cannot be loaded is found before any work.
  static Result<std::unique_ptr<RewardStage>> create(const RewardOptions& options);
  virtual ~RewardStage() = default;

  // verdicts[i] belongs to samples[i], whose prompt is prompts[i] (borrowed). Order-preserving,
  // parallel. score = sum of weight * value - repetition_penalty (if it applies); correct = every
  // deciding reward says so, or score > 0 when none decides. One failed reward makes the verdict an
  // error that names it; so do samples that are not finished (partial, aborted) and, soon after
  // stop_requested(), everything still waiting ("cancelled").
  virtual std::vector<data::Verdict> judge(const std::vector<const data::Prompt*>& prompts,
                                           const std::vector<const data::Sample*>& samples) = 0;

  // Begins to judge a finished sample while others are still being generated; the next judge() takes the result over
  // instead of judging again. Samples are told apart by (prompt id, seed, index). May be called from another thread
  // than judge(), not at the same time. Copies what it needs.
  virtual void judge_ahead(const data::Prompt& prompt, const data::Sample& sample) = 0;
  // Waits for what was begun and drops the results: the samples will not be judged.
  virtual void drop_ahead() = 0;

  // Adds the weighted length reward of the report (section 2.3.3 there) to the scores, from
  // iteration `length_warmup_iterations` on. Samples whose verdict is an error take no part in
  // minimum and maximum.
  virtual void shape(std::vector<data::Group>& groups, int64_t iteration) = 0;

  // Since the last call: reward/errors (samples), reward/timeouts and reward/retries (calls), and of each reward function
  // reward/NAME/errors and reward/NAME/timeouts (calls). What the clock decides: reward/seconds/mean, max and min of a
  // sample's judgement, reward/seconds/NAME of a call on average, perf/judgements_waiting_max at a time.
  virtual Metrics take_metrics() = 0;
};

// Report, length penalty: lambda = 0.5 - (len - min) / (max - min); lambda if correct, min(0,
// lambda) if not; all 0 if max = min.
std::vector<double> length_rewards(const std::vector<int>& lengths,
                                   const std::vector<bool>& correct);

}  // namespace longshot::reward
