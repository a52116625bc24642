#include "curate/samples/sample_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "base/os/output.h"
#include "base/os/stop.h"

namespace longshot::curate {
namespace {

bool is_sound(const JudgedSample& sample) {
  return sample.error.empty();
}

JudgedSample sample_of(Response& response, uint32_t index, bool token_ids) {
  JudgedSample sample;
  sample.index = index;
  if (!response.status.ok()) {
    sample.error = response.status.to_string();
    return sample;
  }
  sample.response = std::move(response.sample.text);
  sample.tokens = response.tokens;
  sample.finish = data::finish_reason_name(response.sample.finish);
  if (!token_ids) return sample;
  sample.token_ids = std::move(response.sample.tokens);
  sample.logprobs = std::move(response.sample.logprobs);
  return sample;
}

// The sample as rewards read it. They use the number of tokens, not the ids.
data::Sample judged_form(const data::Prompt& prompt, const JudgedSample& sample) {
  data::Sample form;
  form.prompt_id = prompt.id;
  form.index = sample.index;
  form.tokens.resize(static_cast<size_t>(sample.tokens));
  form.finish = data::parse_finish_reason(sample.finish).value_or(data::FinishReason::aborted);
  form.text = sample.response;
  return form;
}

void set_verdict(const data::Verdict& verdict, JudgedSample& sample) {
  if (!verdict.scored) {
    sample.error = verdict.error;
    return;
  }
  sample.score = verdict.score;
  sample.correct = verdict.correct;
  sample.answer = verdict.answer;
  sample.components = verdict.components;
}

// Judges the samples that have a response and no score.
void judge(reward::RewardStage* rewards, const data::Prompt& prompt,
           std::vector<JudgedSample>& samples) {
  if (rewards == nullptr) return;
  std::vector<JudgedSample*> left;
  std::vector<data::Sample> forms;
  for (JudgedSample& sample : samples) {
    if (sample.score || sample.finish.empty()) continue;
    sample.error.clear();
    left.push_back(&sample);
    forms.push_back(judged_form(prompt, sample));
  }
  std::vector<const data::Sample*> pointers;
  for (const data::Sample& form : forms) pointers.push_back(&form);
  const auto verdicts =
      rewards->judge(std::vector<const data::Prompt*>(forms.size(), &prompt), pointers);
  for (size_t i = 0; i < left.size(); ++i) set_verdict(verdicts[i], *left[i]);
}

void put(std::vector<JudgedSample>& samples, JudgedSample sample) {
  const auto at = std::lower_bound(
      samples.begin(), samples.end(), sample.index,
      [](const JudgedSample& known, uint32_t index) { return known.index < index; });
  if (at != samples.end() && at->index == sample.index) {
    *at = std::move(sample);
  } else {
    samples.insert(at, std::move(sample));
  }
}

int64_t tokens_of(const std::vector<JudgedSample>& samples) {
  int64_t tokens = 0;
  for (const JudgedSample& sample : samples) tokens += sample.tokens;
  return tokens;
}

class Run {
 public:
  Run(const std::vector<Ask>& asks, const SampleRunOptions& options, SampleSource& source,
      reward::RewardStage* rewards, SampleJournal& journal,
      const std::function<void(const SampleProgress&)>& on_prompt)
      : asks_(asks),
        options_(options),
        source_(source),
        rewards_(rewards),
        journal_(journal),
        on_prompt_(on_prompt),
        tokens_(asks.size(), kUnfinished) {}

  Status run() {
    LS_RETURN_IF_ERROR(find_finished());
    std::vector<std::thread> threads;
    const auto count = std::min<size_t>(static_cast<size_t>(options_.prompts_at_once), left());
    for (size_t i = 1; i < count; ++i) threads.emplace_back([this] { work(); });
    work();
    for (std::thread& thread : threads) thread.join();
    if (!failure_.ok()) return failure_;
    return stop_requested() ? cancelled("stopped") : ok_status();
  }

  // Of finished prompts; kUnfinished of others.
  const std::vector<int64_t>& tokens() const { return tokens_; }
  static constexpr int64_t kUnfinished = -1;

 private:
  size_t left() const {
    return static_cast<size_t>(std::count(tokens_.begin(), tokens_.end(), kUnfinished));
  }

  Status find_finished() {
    for (size_t i = 0; i < asks_.size(); ++i) {
      LS_ASSIGN_OR_RETURN(const auto samples, journal_.find(asks_[i]));
      const bool failed = !std::all_of(samples.begin(), samples.end(), is_sound);
      if (failed || !next_indices(samples, options_).empty()) continue;
      tokens_[i] = tokens_of(samples_within(samples, options_));
      ++progress_.prompts;
    }
    return ok_status();
  }

  void work() {
    while (const Ask* ask = next()) {
      auto samples = finish(*ask);
      std::lock_guard lock(mutex_);
      const Status status = samples.ok() ? save(*ask, *samples) : samples.status();
      if (failure_.ok()) failure_ = status;
    }
  }

  // The next prompt in the order of the input; null if there is none, or if the run must end.
  const Ask* next() {
    std::lock_guard lock(mutex_);
    if (stop_requested() || !failure_.ok()) return nullptr;
    for (; next_ < asks_.size(); ++next_) {
      if (options_.token_budget > 0 && tokens_before_next() >= options_.token_budget)
        return nullptr;
      if (tokens_[next_] == kUnfinished) return &asks_[next_++];
    }
    return nullptr;
  }

  // Tokens of the finished prompts before the next one. All before summed_ are finished.
  int64_t tokens_before_next() {
    for (; summed_ < next_ && tokens_[summed_] != kUnfinished; ++summed_) sum_ += tokens_[summed_];
    int64_t tokens = sum_;
    for (size_t i = summed_; i < next_; ++i) tokens += std::max<int64_t>(0, tokens_[i]);
    return tokens;
  }

  // The samples of a prompt, from the journal and from the source.
  Result<std::vector<JudgedSample>> finish(const Ask& ask) {
    std::vector<JudgedSample> known, samples;
    {
      std::lock_guard lock(mutex_);
      LS_ASSIGN_OR_RETURN(known, journal_.find(ask));
    }
    judge(rewards_, ask.prompt, known);
    for (JudgedSample& sample : known) {
      // A failed judgement is not repeated at once; a missing response is asked for again.
      if (!sample.finish.empty()) samples.push_back(std::move(sample));
    }
    // A prompt that cannot be asked or judged must not end the run for the others.
    int countable = std::max(1, options_.max_errors / 4);
    while (true) {
      const auto indices = next_indices(samples, options_);
      if (indices.empty()) break;
      LS_RETURN_IF_ERROR(extend(ask, indices, samples, countable));
    }
    if (stop_requested()) return cancelled("stopped");
    return samples_within(std::move(samples), options_);
  }

  Status extend(const Ask& ask, const std::vector<uint32_t>& indices,
                std::vector<JudgedSample>& samples, int& countable) {
    auto responses = source_.ask(ask.asked, indices);
    std::vector<JudgedSample> fresh;
    for (size_t i = 0; i < indices.size(); ++i) {
      LS_RETURN_IF_ERROR(check(responses[i]));
      fresh.push_back(sample_of(responses[i], indices[i], options_.token_ids));
    }
    judge(rewards_, ask.prompt, fresh);
    if (stop_requested()) return cancelled("stopped");
    std::lock_guard lock(mutex_);
    return take(fresh, samples, countable);
  }

  // Counts the fresh samples of a prompt and moves them to `samples`. `countable` failures of the
  // prompt, in this round and the later ones, still count towards max_errors.
  Status take(std::vector<JudgedSample>& fresh, std::vector<JudgedSample>& samples,
              int& countable) {
    std::string error;
    for (JudgedSample& sample : fresh) {
      count(sample);
      if (is_sound(sample)) {
        in_a_row_ = 0;
      } else {
        error = sample.error;
        in_a_row_ += countable-- > 0 ? 1 : 0;
      }
      put(samples, std::move(sample));
    }
    if (options_.max_errors == 0 || in_a_row_ < options_.max_errors) return ok_status();
    return unavailable(fmt::format("{} samples in a row have failed (--max-errors), the last: {}",
                                   in_a_row_, error.substr(0, 500)));
  }

  // An error if no further request makes sense.
  Status check(const Response& response) const {
    const StatusCode code = response.status.code();
    if (code == StatusCode::invalid_argument || code == StatusCode::internal ||
        code == StatusCode::cancelled || code == StatusCode::exhausted)
      return response.status;
    if (response.status.ok() && response.tokens == 0 && options_.token_budget > 0)
      return invalid_argument(
          "--token-budget: the server does not tell how many tokens a response has");
    return ok_status();
  }

  void count(const JudgedSample& sample) {
    ++progress_.samples;
    progress_.tokens += sample.tokens;
    progress_.judged += sample.score ? 1 : 0;
    progress_.correct += sample.correct ? 1 : 0;
    progress_.errors += is_sound(sample) ? 0 : 1;
  }

  Status save(const Ask& ask, const std::vector<JudgedSample>& samples) {
    // A full disk may have cut off the journal's last line, and no line may follow one that is cut
    // off.
    if (failure_.code() == StatusCode::io_error) return failure_;
    LS_RETURN_IF_ERROR(journal_.append(ask, samples));
    tokens_[static_cast<size_t>(&ask - asks_.data())] = tokens_of(samples);
    ++progress_.prompts;
    on_prompt_(progress_);
    return ok_status();
  }

  const std::vector<Ask>& asks_;
  const SampleRunOptions& options_;
  SampleSource& source_;
  reward::RewardStage* rewards_;
  SampleJournal& journal_;
  const std::function<void(const SampleProgress&)>& on_prompt_;

  std::mutex mutex_;  // guards what follows, and the journal
  std::vector<int64_t> tokens_;
  size_t next_ = 0, summed_ = 0;
  int64_t sum_ = 0;
  SampleProgress progress_;
  int in_a_row_ = 0;  // failed samples that count towards max_errors
  Status failure_;
};

Status write_rows(const std::vector<Ask>& asks, const SampleRunOptions& options,
                  const SampleJournal& journal, SampleResult& result,
                  const std::function<void(const JudgedPrompt&)>& on_row) {
  LS_ASSIGN_OR_RETURN(Output output, Output::open(journal.samples_path()));
  for (size_t i = 0; i < result.rows; ++i) {
    LS_ASSIGN_OR_RETURN(auto samples, journal.find(asks[i]));
    const JudgedPrompt row{asks[i].prompt, samples_within(std::move(samples), options)};
    LS_RETURN_IF_ERROR(output.write(dump_json(to_json(row)) + "\n"));
    result.all_samples += static_cast<int64_t>(row.samples.size());
    result.all_errors += static_cast<int64_t>(row.samples.size()) -
                         std::count_if(row.samples.begin(), row.samples.end(), is_sound);
    on_row(row);
  }
  return output.finish();
}

}  // namespace

std::vector<JudgedSample> samples_within(std::vector<JudgedSample> samples,
                                         const SampleRunOptions& options) {
  size_t kept = 0;
  for (int correct = 0;
       kept < samples.size() && samples[kept].index < static_cast<uint32_t>(options.n);) {
    correct += samples[kept++].correct ? 1 : 0;
    if (options.until_correct > 0 && correct == options.until_correct) break;
  }
  samples.resize(kept);
  return samples;
}

std::vector<uint32_t> next_indices(const std::vector<JudgedSample>& samples,
                                   const SampleRunOptions& options) {
  std::vector<uint32_t> indices;
  size_t known = 0;
  int correct = 0;
  for (uint32_t i = 0; i < static_cast<uint32_t>(options.n); ++i) {
    while (known < samples.size() && samples[known].index < i) ++known;
    if (known < samples.size() && samples[known].index == i) {
      correct += samples[known].correct ? 1 : 0;
    } else {
      indices.push_back(i);
    }
    const int possible = correct + static_cast<int>(indices.size());
    if (options.until_correct > 0 && possible >= options.until_correct) break;
  }
  return indices;
}

size_t prompts_within(const std::vector<int64_t>& tokens, int64_t budget) {
  int64_t before = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (budget > 0 && before >= budget) return i;
    before += tokens[i];
  }
  return tokens.size();
}

Result<SampleResult> run_samples(const std::vector<Ask>& asks, const SampleRunOptions& options,
                                 SampleSource& source, reward::RewardStage* rewards,
                                 SampleJournal& journal,
                                 const std::function<void(const SampleProgress&)>& on_prompt,
                                 const std::function<void(const JudgedPrompt&)>& on_row) {
  Run run(asks, options, source, rewards, journal, on_prompt);
  LS_RETURN_IF_ERROR(run.run());
  SampleResult result;
  result.rows = prompts_within(run.tokens(), options.token_budget);
  for (size_t i = result.rows; i < asks.size(); ++i)
    result.beyond += run.tokens()[i] == Run::kUnfinished ? 0 : 1;
  LS_RETURN_IF_ERROR(write_rows(asks, options, journal, result, on_row));
  return result;
}

}  // namespace longshot::curate
