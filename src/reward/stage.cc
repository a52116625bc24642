// The reward stage: applies every reward to every sample, in parallel.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "base/os/stop.h"
#include "reward/reward.h"

namespace longshot::reward {
namespace {

// Statistics of a reward's calls since the last report.
struct CallCounts {
  long errors = 0, timeouts = 0;
  Summary seconds;
};

struct Member {
  std::string name;  // unique within the stage
  RewardSpec spec;
  std::unique_ptr<Reward> reward;
  CallCounts counts;
};

bool worth_a_retry(StatusCode code) {
  return code == StatusCode::timeout || code == StatusCode::unavailable;
}

// 0.1, 0.2, 0.4 ... at most 2 seconds; false when a stop is requested.
bool back_off(int attempt) {
  return sleep_unless_stopped(
      Deadline::after_seconds(std::min(2.0, 0.1 * (1 << std::min(attempt, 10)))));
}

Question make_question(const data::Prompt& prompt, const data::Sample& sample) {
  Question question;
  question.data_source = prompt.data_source;
  question.prompt = prompt.text;
  for (const auto& message : prompt.messages) {
    if (message.role == "user") question.prompt = message.content.text();
  }
  question.messages = prompt.messages;
  question.completion = sample.text;
  question.ground_truth = prompt.ground_truth;
  question.ground_truth_json = prompt.ground_truth_json;
  question.extra_info = prompt.extra_info;
  question.finish = sample.finish;
  question.response_tokens = static_cast<int>(sample.tokens.size());
  return question;
}

bool is_finished(data::FinishReason reason) {
  return reason != data::FinishReason::partial && reason != data::FinishReason::aborted;
}

data::Verdict error_verdict(std::string reason) {
  data::Verdict verdict;
  verdict.error = std::move(reason);
  return verdict;
}

}  // namespace

class RewardStage::Impl {
 public:
  Impl(const RewardOptions& options, std::vector<Member> members)
      : options_(options), members_(std::move(members)), pool_(options.threads) {}

  std::vector<data::Verdict> judge(const std::vector<const data::Prompt*>& prompts,
                                   const std::vector<const data::Sample*>& samples) {
    LS_CHECK(prompts.size() == samples.size(), "one prompt per sample");
    std::map<Key, data::Verdict> ahead = take_ahead(samples);
    std::vector<data::Verdict> verdicts(samples.size());
    std::vector<size_t> rest;
    for (size_t i = 0; i < samples.size(); ++i) {
      const auto known = ahead.find(key_of(*samples[i]));
      if (known == ahead.end()) {
        rest.push_back(i);
      } else {
        verdicts[i] = std::move(known->second);
      }
    }
    pool_.parallel_for(static_cast<int>(rest.size()), [&](int r) {
      const size_t i = rest[static_cast<size_t>(r)];
      verdicts[i] = judge_timed(make_question(*prompts[i], *samples[i]));
    });
    count_errors(verdicts);
    return verdicts;
  }

  void judge_ahead(const data::Prompt& prompt, const data::Sample& sample) {
    auto question = std::make_shared<const Question>(make_question(prompt, sample));
    const Key key = key_of(sample);
    {
      std::lock_guard lock(mutex_);
      // A loop of `pool_` also uses the calling thread, which submitted tasks do not: one more
      // thread gives the same number of simultaneous judgements.
      if (background_ == nullptr) background_ = std::make_unique<ThreadPool>(options_.threads + 1);
      pending_.insert(key);
      pending_max_ = std::max(pending_max_, static_cast<int>(pending_.size()));
    }
    background_->submit([this, key, question] {
      std::optional<data::Verdict> verdict = judge_whatever_happens(*question);
      std::lock_guard lock(mutex_);
      if (verdict && !forgotten_.erase(key)) keep_ahead(key, std::move(*verdict));
      pending_.erase(key);
      settled_.notify_all();
    });
  }

  void forget(const data::Sample& sample) {
    const Key key = key_of(sample);
    std::lock_guard lock(mutex_);
    ahead_.erase(key);
    if (pending_.contains(key)) forgotten_.insert(key);
  }

  void drop_ahead() {
    std::unique_lock lock(mutex_);
    settled_.wait(lock, [this] { return pending_.empty(); });
    ahead_.clear();
    forgotten_.clear();
  }

  void shape(std::vector<data::Group>& groups, int64_t iteration) {
    const bool by_length =
        options_.length_weight != 0 && iteration >= options_.length_warmup_iterations;
    for (auto& group : groups) {
      if (by_length) shape_one(group);
      if (options_.overlong_buffer > 0) penalize_overlong(group);
    }
  }

  Metrics take_metrics() {
    std::lock_guard lock(mutex_);
    Metrics out{{"reward/errors", static_cast<double>(std::exchange(errors_, 0))},
                {"reward/retries", static_cast<double>(std::exchange(retries_, 0))},
                {"perf/judgements_waiting_max", std::exchange(pending_max_, 0)}};
    if (seconds_.count() > 0) std::exchange(seconds_, {}).report("reward/seconds", out);
    double timeouts = 0;
    for (Member& member : members_) {
      const CallCounts counts = std::exchange(member.counts, {});
      const std::string prefix = "reward/" + member.name;
      out[prefix + "/errors"] = static_cast<double>(counts.errors);
      out[prefix + "/timeouts"] = static_cast<double>(counts.timeouts);
      if (counts.seconds.count() > 0) out["reward/seconds/" + member.name] = counts.seconds.mean();
      timeouts += static_cast<double>(counts.timeouts);
    }
    out["reward/timeouts"] = timeouts;
    return out;
  }

 private:
  using Key = std::tuple<std::string, uint64_t, uint32_t>;
  static Key key_of(const data::Sample& sample) {
    return {sample.prompt_id, sample.seed, sample.index};
  }

  // Waits for the judgements of these samples that were started ahead and returns their verdicts.
  std::map<Key, data::Verdict> take_ahead(const std::vector<const data::Sample*>& samples) {
    std::map<Key, data::Verdict> verdicts;
    std::unique_lock lock(mutex_);
    for (const data::Sample* sample : samples) {
      const Key key = key_of(*sample);
      settled_.wait(lock, [&] { return !pending_.contains(key); });
      if (auto known = ahead_.extract(key)) verdicts.insert(std::move(known));
    }
    return verdicts;
  }

  // Returns nullopt after an exception, for example for lack of memory. judge() then repeats the
  // judgement on a thread that can report the error.
  std::optional<data::Verdict> judge_whatever_happens(const Question& question) noexcept {
    try {
      return judge_timed(question);
    } catch (const std::exception&) {
      return std::nullopt;
    }
  }

  // Requires mutex_. If there is no memory for the verdict it is dropped, and judge() repeats the
  // judgement.
  void keep_ahead(const Key& key, data::Verdict verdict) noexcept {
    try {
      ahead_[key] = std::move(verdict);
    } catch (const std::exception&) {
    }
  }

  data::Verdict judge_timed(const Question& question) {
    const Stopwatch watch;
    data::Verdict verdict = judge_one(question);
    std::lock_guard lock(mutex_);
    seconds_.add(watch.seconds());
    return verdict;
  }

  // An error counts when its verdict is given to the caller. Judgements that were started ahead and
  // that a stop cancelled are repeated by the resumed run.
  void count_errors(const std::vector<data::Verdict>& verdicts) {
    std::lock_guard lock(mutex_);
    errors_ += std::ranges::count_if(verdicts, [](const auto& verdict) { return !verdict.scored; });
  }

  data::Verdict judge_one(const Question& question) {
    if (!is_finished(question.finish)) {
      return error_verdict(std::string("not finished: ") +
                           data::finish_reason_name(question.finish));
    }
    data::Verdict verdict;
    bool decided = false, all_correct = true, any_applies = false;
    for (auto& member : members_) {
      const auto score = call(member, question);
      if (!score.ok()) return error_verdict(describe(member, score.status()));
      if (!score->applies) continue;
      any_applies = true;
      verdict.components[member.name] = score->value;
      for (const auto& [name, figure] : score->figures) {
        const bool taken = name == "seconds" || verdict.components.contains(name);
        verdict.components[taken ? member.name + "/" + name : name] = figure;
      }
      if (!score->step_values.empty()) verdict.step_values[member.name] = score->step_values;
      verdict.score += member.spec.weight * score->value;
      if (!member.spec.decides_correct) continue;
      decided = true;
      all_correct = all_correct && score->correct;
      if (verdict.answer.empty()) verdict.answer = score->answer;
    }
    if (!any_applies) return error_verdict(kNoRewardApplies);
    if (question.finish == data::FinishReason::repetition && options_.repetition_penalty != 0) {
      verdict.components["repetition_penalty"] = -options_.repetition_penalty;
      verdict.score -= options_.repetition_penalty;
    }
    verdict.correct = decided ? all_correct : verdict.score > 0;
    verdict.scored = true;
    return verdict;
  }

  static std::string describe(const Member& member, const Status& status) {
    if (status.code() == StatusCode::cancelled) return "cancelled";
    return member.name + ": " + status_code_name(status.code()) + ": " + status.message();
  }

  Result<Score> call(Member& member, const Question& question) {
    for (int attempt = 0;; ++attempt) {
      if (stop_requested()) return cancelled("stopped");
      const Stopwatch watch;
      const double seconds = member.reward->max_seconds(question, options_.timeout_seconds);
      auto score = member.reward->judge(question, Deadline::after_seconds(seconds));
      const bool again =
          !score.ok() && worth_a_retry(score.status().code()) && attempt < options_.retries;
      count(member, score.status(), watch.seconds(), again);
      if (!again) return score;
      if (!back_off(attempt)) return cancelled("stopped");
    }
  }

  void count(Member& member, const Status& status, double seconds, bool again) {
    std::lock_guard lock(mutex_);
    member.counts.seconds.add(seconds);
    if (!status.ok() && status.code() != StatusCode::cancelled) ++member.counts.errors;
    if (status.code() == StatusCode::timeout) ++member.counts.timeouts;
    if (again) ++retries_;
  }

  void shape_one(data::Group& group) const {
    std::vector<int> lengths;
    std::vector<bool> correct;
    std::vector<size_t> who;
    for (size_t i = 0; i < group.verdicts.size(); ++i) {
      if (!group.verdicts[i].scored) continue;
      who.push_back(i);
      lengths.push_back(static_cast<int>(group.samples[i].tokens.size()));
      correct.push_back(group.verdicts[i].correct);
    }
    const auto rewards = length_rewards(lengths, correct);
    for (size_t j = 0; j < who.size(); ++j) {
      auto& verdict = group.verdicts[who[j]];
      verdict.components["length"] = rewards[j];
      verdict.score += options_.length_weight * rewards[j];
    }
  }

  void penalize_overlong(data::Group& group) const {
    for (size_t i = 0; i < group.verdicts.size(); ++i) {
      data::Verdict& verdict = group.verdicts[i];
      if (!verdict.scored) continue;
      const double penalty =
          overlong_penalty(static_cast<int>(group.samples[i].tokens.size()),
                           options_.max_response_length, options_.overlong_buffer);
      verdict.components["overlong"] = penalty;
      verdict.score += options_.overlong_penalty * penalty;
    }
  }

  const RewardOptions options_;
  std::vector<Member> members_;
  ThreadPool pool_;
  std::mutex mutex_;  // guards the fields up to settled_ and the counts in members_
  long errors_ = 0, retries_ = 0;
  Summary seconds_;
  std::map<Key, data::Verdict> ahead_;
  std::set<Key> pending_, forgotten_;  // judgements started ahead and not finished; nobody waits
  int pending_max_ = 0;                // the most at a time
  std::condition_variable settled_;
  std::unique_ptr<ThreadPool> background_;  // last: its threads use the members above
};

namespace {

std::string unique_name(const std::string& name, const std::vector<Member>& members) {
  const auto taken = [&](const std::string& candidate) {
    return std::any_of(members.begin(), members.end(),
                       [&](const Member& m) { return m.name == candidate; });
  };
  std::string out = name;
  for (int i = 2; taken(out); ++i) out = name + "_" + std::to_string(i);
  return out;
}

}  // namespace

std::string most_frequent_error(std::span<const data::Verdict> verdicts) {
  std::map<std::string, long> counts;
  for (const data::Verdict& v : verdicts) {
    if (!v.scored && !v.error.empty()) ++counts[v.error];
  }
  long most = 0;
  for (const auto& [reason, count] : counts) most = std::max(most, count);
  for (const data::Verdict& v : verdicts) {
    if (most > 0 && !v.scored && counts[v.error] == most) return v.error;
  }
  return "";
}

Result<std::unique_ptr<RewardStage>> RewardStage::create(const RewardOptions& options) {
  auto specs = options.rewards;
  if (specs.empty()) {
    specs.emplace_back();
    specs.back().type = "auto";
  }
  std::vector<Member> members;
  for (auto& spec : specs) {
    LS_ASSIGN_OR_RETURN(auto reward, make_reward(spec));
    LS_RETURN_IF_ERROR(reward->prepare());
    const std::string name = unique_name(reward->name(), members);
    members.push_back({name, std::move(spec), std::move(reward), {}});
  }
  return std::unique_ptr<RewardStage>(
      new RewardStage(std::make_unique<Impl>(options, std::move(members))));
}

RewardStage::RewardStage(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RewardStage::~RewardStage() = default;

std::vector<data::Verdict> RewardStage::judge(const std::vector<const data::Prompt*>& prompts,
                                              const std::vector<const data::Sample*>& samples) {
  return impl_->judge(prompts, samples);
}
void RewardStage::judge_ahead(const data::Prompt& prompt, const data::Sample& sample) {
  impl_->judge_ahead(prompt, sample);
}
void RewardStage::forget(const data::Sample& sample) {
  impl_->forget(sample);
}
void RewardStage::drop_ahead() {
  impl_->drop_ahead();
}
void RewardStage::shape(std::vector<data::Group>& groups, int64_t iteration) {
  impl_->shape(groups, iteration);
}
Metrics RewardStage::take_metrics() {
  return impl_->take_metrics();
}

}  // namespace longshot::reward
