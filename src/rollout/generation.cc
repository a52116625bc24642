#include "rollout/generation.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/rng.h"
#include "base/stop.h"

namespace longshot::rollout {
namespace {

bool is_continuation(const data::Sample& sample) {
  return sample.finish == data::FinishReason::partial;
}

Status check_job(const data::Sample& sample, size_t job, const model::ModelConfig& config,
                 int max_sequence, int max_response) {
  const std::string who =
      fmt::format("job {} (prompt '{}', sample {})", job, sample.prompt_id, sample.index);
  if (sample.prompt_tokens.empty()) return invalid_argument(who + ": the prompt has no tokens");
  if (!sample.tokens.empty() && !is_continuation(sample)) {
    return invalid_argument(
        fmt::format("{}: only a partial sample can be continued, this one ended with '{}'", who,
                    data::finish_reason_name(sample.finish)));
  }
  if (sample.logprobs.size() != sample.tokens.size()) {
    return invalid_argument(fmt::format("{}: {} tokens but {} log-probabilities", who,
                                        sample.tokens.size(), sample.logprobs.size()));
  }
  const size_t needed = sample.prompt_tokens.size() + static_cast<size_t>(max_response);
  if (needed > static_cast<size_t>(max_sequence)) {
    return invalid_argument(
        fmt::format("{}: a prompt of {} tokens and a response of up to {} need {} positions, but "
                    "max_sequence is {}; raise "
                    "max_sequence or lower max_response_length",
                    who, sample.prompt_tokens.size(), max_response, needed, max_sequence));
  }
  for (const auto* tokens : {&sample.prompt_tokens, &sample.tokens}) {
    for (const data::TokenId id : *tokens) {
      if (id < 0 || id >= config.vocab_size) {
        return invalid_argument(fmt::format("{}: token {} is outside the model's vocabulary of {}",
                                            who, id, config.vocab_size));
      }
    }
  }
  return ok_status();
}

}  // namespace

Generation::Generation(Runner& runner, const tokenizer::Tokenizer* tokenizer,
                       const EngineOptions& options, std::vector<data::Sample>& samples,
                       ThreadPool& pool)
    : runner_(runner),
      tokenizer_(tokenizer),
      options_(options),
      samples_(samples),
      pool_(pool),
      scheduler_(runner.limits().max_slots),
      samplers_(pool.threads(), Sampler(options.sampling)) {
  progress_.total = static_cast<int64_t>(samples.size());
}

Status Generation::check() const {
  const SamplingOptions& sampling = options_.sampling;
  LS_RETURN_IF_ERROR(check_sampling(sampling));
  if (options_.token_budget < 0)
    return invalid_argument("token_budget must be 0 (unlimited) or larger");
  if (!sampling.stop_strings.empty() && tokenizer_ == nullptr) {
    return invalid_argument("stop strings need a tokenizer, and this model has none");
  }
  for (size_t i = 0; i < samples_.size(); ++i) {
    LS_RETURN_IF_ERROR(check_job(samples_[i], i, runner_.config(), runner_.limits().max_sequence,
                                 sampling.max_response_length));
  }
  return ok_status();
}

// Groups jobs by prompt and hands them to the scheduler. A continued sample that has all its tokens ends here.
void Generation::enqueue() {
  std::map<std::vector<data::TokenId>, int> groups;
  for (size_t i = 0; i < samples_.size(); ++i) {
    data::Sample& sample = samples_[i];
    if (static_cast<int>(sample.tokens.size()) >= options_.sampling.max_response_length) {
      sample.finish = data::FinishReason::length;
      ++progress_.finished;
      continue;
    }
    sample.finish = data::FinishReason::partial;
    scheduler_.add(
        groups.emplace(sample.prompt_tokens, static_cast<int>(groups.size())).first->second);
    job_of_.push_back(static_cast<int>(i));
  }
}

data::TokenId Generation::token_at(int job, int position) const {
  const int prompt = prompt_length(job);
  return position < prompt ? samples_[job].prompt_tokens[position]
                           : samples_[job].tokens[position - prompt];
}

std::span<float> Generation::logits(size_t rows) {
  const size_t size = rows * static_cast<size_t>(runner_.config().vocab_size);
  if (logits_.size() < size) logits_.resize(size);
  return std::span<float>(logits_).first(size);
}

// Feeds everything but the last token of each job, from `cached` on.
void Generation::prefill(std::vector<Running*> jobs) {
  std::vector<std::vector<data::TokenId>> tokens;
  std::vector<Step> steps;
  tokens.reserve(jobs.size());  // steps borrow from it
  for (Running* running : jobs) {
    const data::Sample& sample = samples_[running->job];
    const int end = static_cast<int>(sample.prompt_tokens.size() + sample.tokens.size()) - 1;
    if (running->cached >= end) continue;
    auto& list = tokens.emplace_back();
    for (int p = running->cached; p < end; ++p) list.push_back(token_at(running->job, p));
    steps.push_back({running->slot, running->cached, list});
    prefill_tokens_ += end - running->cached;
    running->cached = end;
  }
  if (!steps.empty()) runner_.forward(steps, logits(steps.size()));
}

void Generation::admit() {
  const std::vector<Admission> admissions = scheduler_.admit();
  if (admissions.empty()) return;
  const size_t first = running_.size();
  for (const Admission& a : admissions) {
    const int job = job_of_[a.job];
    const data::Sample& sample = samples_[job];
    Running running{
        a.job,
        job,
        a.slot,
        0,
        static_cast<int>(sample.tokens.size()),
        hash64(sample.prompt_id),
        std::make_unique<StopRules>(options_.sampling, options_.repetition, tokenizer_)};
    for (size_t n = 1; n <= sample.tokens.size(); ++n) {
      (void)running.rules->update(
          std::span(sample.tokens).first(n));  // the state at which it was interrupted
    }
    running_.push_back(std::move(running));
  }
  std::vector<Running*> leaders, all;
  for (size_t i = 0; i < admissions.size(); ++i) {
    all.push_back(&running_[first + i]);
    if (admissions[i].prefix_from < 0) leaders.push_back(all.back());
  }
  prefill(leaders);
  for (size_t i = 0; i < admissions.size(); ++i) {
    const Admission& a = admissions[i];
    if (a.prefix_from < 0) continue;
    all[i]->cached = prompt_length(all[i]->job) - 1;
    if (a.prefix_from != a.slot) runner_.copy_prefix(a.prefix_from, a.slot, all[i]->cached);
  }
  prefill(all);  // what continued samples have beyond their prompt
}

bool Generation::interrupted() const {
  return stop_requested() || (options_.cancel != nullptr && options_.cancel->load());
}

bool Generation::budget_spent() const {
  return options_.token_budget > 0 && progress_.generated_tokens >= options_.token_budget;
}

// One choice per row of logits_. Rows are cut into one chunk per thread; each row's choice depends on it alone.
Status Generation::draw(size_t count, std::vector<Choice>& choices) {
  const size_t vocab = runner_.config().vocab_size, chunks = std::min(samplers_.size(), count);
  choices.resize(count);
  const auto chunk = [&](int c) {
    for (size_t i = count * c / chunks; i < count * (c + 1) / chunks; ++i) {
      const data::Sample& sample = samples_[running_[i].job];
      const double uniform = sampling_uniform(sample.seed, running_[i].prompt_key, sample.index,
                                              static_cast<uint32_t>(sample.tokens.size()));
      choices[i] = samplers_[c].pick(std::span(logits_).subspan(i * vocab, vocab), uniform);
    }
  };
  constexpr size_t kWorthAThread = 16384;  // logits
  if (count * vocab < kWorthAThread) {
    for (size_t c = 0; c < chunks; ++c) chunk(static_cast<int>(c));
  } else {
    pool_.parallel_for(static_cast<int>(chunks), chunk);
  }
  for (size_t i = 0; i < count; ++i) {
    if (choices[i].token >= 0) continue;
    return internal_error(
        fmt::format("the model's logits for prompt '{}' are not finite; its weights are broken",
                    samples_[running_[i].job].prompt_id));
  }
  return ok_status();
}

void Generation::accept(Running& running, Choice choice, const OnToken& on_token) {
  data::Sample& sample = samples_[running.job];
  sample.tokens.push_back(choice.token);
  sample.logprobs.push_back(choice.logprob);
  ++progress_.generated_tokens;
  const auto reason = running.rules->update(sample.tokens);
  if (reason) sample.finish = *reason;
  if (on_token && !on_token(static_cast<size_t>(running.job), choice.token, choice.logprob) &&
      !reason) {
    sample.finish = data::FinishReason::aborted;
  }
}

Status Generation::decode(const OnToken& on_token) {
  size_t count = running_.size();
  if (options_.token_budget > 0) {
    count = std::min<size_t>(count, options_.token_budget - progress_.generated_tokens);
  }
  std::vector<data::TokenId> pending(count);
  std::vector<Step> steps(count);
  for (size_t i = 0; i < count; ++i) {
    pending[i] = token_at(running_[i].job, running_[i].cached);
    steps[i] = {running_[i].slot, running_[i].cached, std::span(&pending[i], 1)};
    ++running_[i].cached;
  }
  runner_.forward(steps, logits(count));
  ++decode_steps_;
  decoded_rows_ += static_cast<int64_t>(count);
  std::vector<Choice> choices;
  LS_RETURN_IF_ERROR(draw(count, choices));
  for (size_t i = 0; i < count; ++i) accept(running_[i], choices[i], on_token);
  return ok_status();
}

// Writes what is known only at the end of a sample's stay.
void Generation::retire(const Running& running) {
  data::Sample& sample = samples_[running.job];
  const int end = static_cast<int>(sample.tokens.size());
  if (end > running.first_new)
    sample.segments.push_back({running.first_new, end, runner_.version()});
}

Status Generation::run(const std::function<void(const Progress&)>& on_progress,
                       const OnToken& on_token) {
  enqueue();
  while (!scheduler_.idle() && !interrupted() && !budget_spent()) {
    admit();
    LS_RETURN_IF_ERROR(decode(on_token));
    std::erase_if(running_, [&](const Running& running) {
      if (samples_[running.job].finish == data::FinishReason::partial) return false;
      retire(running);
      scheduler_.finish(running.id);
      ++progress_.finished;
      return true;
    });
    if (on_progress) on_progress(progress_);
  }
  for (const Running& running : running_) retire(running);
  if (tokenizer_ != nullptr) {
    for (data::Sample& sample : samples_) {
      sample.text = response_text(*tokenizer_, sample.tokens, options_.sampling.stop_strings);
    }
  }
  return ok_status();
}

Metrics Generation::metrics(double seconds) const {
  const double tokens = static_cast<double>(progress_.generated_tokens);
  const double steps = static_cast<double>(std::max<int64_t>(decode_steps_, 1));
  return {{"rollout/generated_tokens", tokens},
          {"rollout/prefill_tokens", static_cast<double>(prefill_tokens_)},
          {"rollout/decode_steps", static_cast<double>(decode_steps_)},
          {"rollout/tokens_per_second", seconds > 0 ? tokens / seconds : 0},
          {"rollout/mean_batch", static_cast<double>(decoded_rows_) / steps},
          {"rollout/seconds", seconds}};
}

}  // namespace longshot::rollout
