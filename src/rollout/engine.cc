#include "rollout/engine.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/os/clock.h"
#include "base/os/stop.h"
#include "base/rng.h"

namespace longshot::rollout {
namespace {

SchedulerLimits scheduler_limits(const RunnerLimits& limits) {
  return {
      .blocks = limits.blocks(), .max_running = limits.max_running, .max_rows = limits.max_rows};
}

std::string name_of(const data::Sample& sample) {
  return fmt::format("prompt '{}', sample {}", sample.prompt_id, sample.index);
}

Status check_tokens(const Request& request, int vocab) {
  const data::Sample& sample = request.sample;
  const std::vector<data::TokenId>& forced = request.forced;
  const std::string who = name_of(sample);
  if (sample.prompt_tokens.empty()) return invalid_argument(who + ": the prompt has no tokens");
  if (!sample.tokens.empty() && sample.finish != data::FinishReason::partial) {
    return invalid_argument(
        fmt::format("{}: only a partial sample can be continued, this one ended with '{}'", who,
                    data::finish_reason_name(sample.finish)));
  }
  if (sample.logprobs.size() != sample.tokens.size()) {
    return invalid_argument(fmt::format("{}: {} tokens but {} log-probabilities", who,
                                        sample.tokens.size(), sample.logprobs.size()));
  }
  if (!forced.empty() && !sample.tokens.empty())
    return invalid_argument(who + ": a sample with tokens cannot be given forced ones");
  for (const auto* tokens : {&sample.prompt_tokens, &sample.tokens, &forced}) {
    for (const data::TokenId id : *tokens) {
      if (id >= 0 && id < vocab) continue;
      return invalid_argument(
          fmt::format("{}: token {} is outside the model's vocabulary of {}", who, id, vocab));
    }
  }
  return ok_status();
}

}  // namespace

Engine::Engine(std::unique_ptr<Runner> runner, const tokenizer::Tokenizer* tokenizer, int threads)
    : runner_(std::move(runner)),
      tokenizer_(tokenizer),
      pool_(threads),
      scheduler_(scheduler_limits(runner_->limits())),
      samplers_(threads) {}

Engine::~Engine() = default;

bool is_interrupted(const EngineOptions& options) {
  return (stop_requested() && !options.finish_when_stopped) ||
         (options.cancel != nullptr && options.cancel->load());
}

Status check_request(const Request& request, const RunnerLimits& limits, int vocab_size,
                     bool has_tokenizer) {
  const data::Sample& sample = request.sample;
  LS_RETURN_IF_ERROR(check_sampling(request.sampling));
  if (!request.sampling.stop_strings.empty() && !has_tokenizer) {
    return invalid_argument("stop strings need a tokenizer, and this model has none");
  }
  if (request.segment_tokens < 0)
    return invalid_argument("segment_tokens must be 0 (no cap) or larger");
  LS_RETURN_IF_ERROR(check_tokens(request, vocab_size));
  const size_t prompt = sample.prompt_tokens.size();
  const int response = request.sampling.max_response_length;
  if (request.forced.size() > static_cast<size_t>(response)) {
    return invalid_argument(fmt::format("{}: {} forced tokens but max_response_length is {}",
                                        name_of(sample), request.forced.size(), response));
  }
  const size_t needed = prompt + static_cast<size_t>(response);
  if (needed > static_cast<size_t>(limits.max_sequence)) {
    return invalid_argument(
        fmt::format("{}: a prompt of {} tokens and a response of up to {} need {} positions, but "
                    "max_sequence is {}; raise "
                    "max_sequence or lower max_response_length",
                    name_of(sample), prompt, response, needed, limits.max_sequence));
  }
  if (blocks_for(static_cast<int>(needed)) > limits.blocks()) {
    return invalid_argument(
        fmt::format("{}: {} positions do not fit the KV cache of {} blocks of {}", name_of(sample),
                    needed, limits.blocks(), kBlockTokens));
  }
  return ok_status();
}

Status Engine::check(const Request& request) const {
  return check_request(request, runner_->limits(), runner_->config().vocab_size,
                       tokenizer_ != nullptr);
}

Result<int64_t> Engine::add(Request request) {
  LS_RETURN_IF_ERROR(check(request));
  const int64_t id = next_id_++;
  LiveSample& live = live_[id];
  live.request = std::move(request);
  data::Sample& sample = live.request.sample;
  live.prompt_key = hash64(sample.prompt_id);
  live.first_new = static_cast<int>(sample.tokens.size());
  if (live.request.segment_tokens > 0)
    live.cut_at = sample.tokens.size() + static_cast<size_t>(live.request.segment_tokens);
  forced_left_ += static_cast<int64_t>(live.forced());
  live.after_forced = live.request.sampling;
  live.after_forced.max_response_length -= static_cast<int>(live.forced());
  live.rules = std::make_unique<StopRules>(live.after_forced, live.request.repetition, tokenizer_);
  sample.finish = data::FinishReason::partial;
  for (size_t n = 1; n <= sample.tokens.size(); ++n) {  // the state at the interruption
    (void)live.rules->update(std::span(sample.tokens).first(n));
  }
  const int64_t adapter = id_of(live.request.adapter.get());
  Group& group = groups_[{adapter, sample.prompt_tokens}];
  if (group.members++ == 0) group.id = next_group_++;
  live.group = group.id;
  std::vector<int32_t> tokens = sample.prompt_tokens;
  tokens.insert(tokens.end(), sample.tokens.begin(), sample.tokens.end());
  scheduler_.add(id, group.id, std::move(tokens), static_cast<int>(sample.prompt_tokens.size()),
                 adapter);
  return id;
}

void Engine::close_segment(LiveSample& live, int64_t version) {
  data::Sample& sample = live.request.sample;
  const int end = static_cast<int>(sample.tokens.size());
  if (end > live.first_new) sample.segments.push_back({live.first_new, end, version});
  live.first_new = end;
}

// Removes a sample from the engine and returns it.
data::Sample Engine::take(int64_t id, data::FinishReason reason) {
  const auto it = live_.find(id);
  LS_CHECK(it != live_.end(), "no such sample");
  close_segment(it->second, version_);
  data::Sample sample = std::move(it->second.request.sample);
  if (tokenizer_ != nullptr) {
    const size_t forced = std::min(it->second.forced(), sample.tokens.size());
    sample.text = response_text(*tokenizer_, std::span(sample.tokens).subspan(forced),
                                it->second.request.sampling.stop_strings);
  }
  const size_t known = sample.tokens.size(), forced = it->second.forced();
  forced_left_ -= static_cast<int64_t>(forced - std::min(forced, known));
  if (drafter_ != nullptr) drafter_->leave(id, scheduler_.tokens(id));
  const int64_t adapter = id_of(it->second.request.adapter.get());
  live_.erase(it);
  sample.finish = reason;
  scheduler_.remove(id, keep_finished_ || reason == data::FinishReason::partial);
  const auto group = groups_.find({adapter, sample.prompt_tokens});
  if (--group->second.members == 0) groups_.erase(group);
  return sample;
}

data::Sample Engine::abort(int64_t id, data::FinishReason reason) {
  return take(id, reason);
}

void Engine::release() {
  LS_CHECK(idle(), "release() while samples are generated");
  scheduler_.weights_changed();
  runner_->release();
}

void Engine::follow_weights() {
  if (runner_->version() == version_) return;
  for (auto& [id, live] : live_) close_segment(live, version_);
  scheduler_.weights_changed();
  version_ = runner_->version();
}

// Appends a token to its sample. Returns false if the sample has ended.
bool Engine::accept(int64_t id, const Choice& choice, const StepOptions& options) {
  LiveSample& live = live_.at(id);
  data::Sample& sample = live.request.sample;
  sample.tokens.push_back(choice.token);
  sample.logprobs.push_back(choice.logprob);
  scheduler_.append(id, choice.token);
  std::optional<data::FinishReason> reason;
  if (sample.tokens.size() <= live.forced()) --forced_left_;
  if (sample.tokens.size() > live.forced()) {
    reason = live.rules->update(std::span(sample.tokens).subspan(live.forced()));
  } else if (static_cast<int>(sample.tokens.size()) == live.request.sampling.max_response_length) {
    reason = data::FinishReason::length;
  }
  if (options.on_token && !options.on_token(id, choice) && !reason) {
    reason = data::FinishReason::aborted;
  }
  if (!reason && sample.tokens.size() == live.cut_at) reason = data::FinishReason::partial;
  if (!reason) return true;
  finished_.push_back({id, take(id, *reason)});
  return false;
}

Status Engine::step(const StepOptions& options) {
  follow_weights();
  if (idle()) return ok_status();
  if (options.speculate && !options.lockstep) draft();
  if (!options.lockstep) draft_forced();
  const Plan plan = scheduler_.plan({.max_draws = options.max_draws, .lockstep = options.lockstep});
  for (const BlockCopy& copy : plan.copies) runner_->copy_block(copy.from, copy.to);
  std::vector<SequenceStep> steps;
  std::vector<Draw> draws;
  size_t rows = 0, first = 0;
  for (const Feed& feed : plan.feeds) {
    const int wanted = feed.draw && feed.count > 0 ? 1 + feed.drafts : 0;
    if (feed.count > 0) {
      steps.push_back({scheduler_.blocks(feed.id), feed.start, scheduler_.fed(feed), wanted,
                       live_.at(feed.id).request.adapter.get()});
      first = rows;
    }
    if (feed.draw) draws.push_back({feed, first});
    rows += wanted;
  }
  const size_t size = rows * static_cast<size_t>(runner_->config().vocab_size);
  if (logits_.size() < size) logits_.resize(size);
  runner_->forward(steps, std::span(logits_).first(size));
  ++passes_.passes;
  passes_.draws += static_cast<int64_t>(draws.size());
  std::vector<std::vector<Choice>> choices;
  LS_RETURN_IF_ERROR(draw(draws, choices));
  for (size_t i = 0; i < draws.size(); ++i) {
    for (const Choice& choice : choices[i]) {
      if (!accept(draws[i].feed.id, choice, options)) break;
    }
  }
  return ok_status();
}

Status Engine::run_jobs(std::vector<data::Sample>& jobs, const std::map<int64_t, size_t>& job_of,
                        const EngineOptions& options, Progress& progress,
                        const std::function<void(const Progress&)>& on_progress,
                        const StepOptions& step_options) {
  const auto interrupted = [&] { return is_interrupted(options); };
  const int64_t budget = options.token_budget;
  StepOptions now = step_options;
  now.lockstep = budget > 0;
  now.speculate = options.speculation == Speculation::ngram;
  while (!idle() && !interrupted() && (budget == 0 || progress.generated_tokens < budget)) {
    if (budget > 0) {
      now.max_draws = static_cast<int>(
          std::min<int64_t>(budget - progress.generated_tokens, std::numeric_limits<int>::max()));
    }
    const int64_t before = progress.generated_tokens;
    LS_RETURN_IF_ERROR(step(now));
    for (Finished& finished : take_finished()) {
      if (options.on_finished && finished.sample.finish != data::FinishReason::partial)
        options.on_finished(finished.sample);
      jobs[job_of.at(finished.id)] = std::move(finished.sample);
      ++progress.finished;
    }
    if (on_progress && progress.generated_tokens > before) on_progress(progress);
  }
  return ok_status();
}

Result<std::vector<data::Sample>> Engine::generate(
    std::vector<data::Sample> jobs, const EngineOptions& options,
    const std::function<void(const Progress&)>& on_progress,
    const std::function<bool(size_t job, data::TokenId token, float logprob)>& on_token) {
  LS_CHECK(idle(), "generate() on a busy engine");
  if (options.token_budget < 0)
    return invalid_argument("token_budget must be 0 (unlimited) or larger");
  std::vector<Request> requests;
  for (const data::Sample& job : jobs) {  // check every job before any work is done
    Request& request = requests.emplace_back(job, options.sampling, options.repetition);
    if (options.length_of) request.sampling.max_response_length = options.length_of(job);
    if (options.forced_of) request.forced = options.forced_of(job);
    request.segment_tokens = options.segment_tokens;
    LS_RETURN_IF_ERROR(check(request));
  }
  const Stopwatch watch;
  drafter_.reset();  // guesses, and so the metrics, depend only on this call
  scheduler_.reset_peak();
  const Scheduler::Counts before = scheduler_.counts();
  const Passes passes_before = passes_;
  Progress progress;
  progress.total = static_cast<int64_t>(jobs.size());
  std::map<int64_t, size_t> job_of;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (static_cast<int>(jobs[i].tokens.size()) < requests[i].sampling.max_response_length) {
      job_of[*add(std::move(requests[i]))] = i;
    } else {  // it already has all its tokens
      jobs[i].finish = data::FinishReason::length;
      if (options.on_finished) options.on_finished(jobs[i]);
      ++progress.finished;
    }
  }
  StepOptions step_options;
  step_options.on_token = [&](int64_t id, const Choice& choice) {
    ++progress.generated_tokens;
    return !on_token || on_token(job_of.at(id), choice.token, choice.logprob);
  };
  const Status status = run_jobs(jobs, job_of, options, progress, on_progress, step_options);
  for (const auto& [id, job] : job_of) {
    if (live_.contains(id)) jobs[job] = abort(id, data::FinishReason::partial);
  }
  LS_RETURN_IF_ERROR(status);
  report(before, progress, passes_before, watch.seconds());
  return jobs;
}

void Engine::report(const Scheduler::Counts& before, const Progress& progress,
                    const Passes& passes_before, double seconds) {
  const Scheduler::Counts& now = scheduler_.counts();
  const double tokens = static_cast<double>(progress.generated_tokens);
  const double passes = static_cast<double>(passes_.passes - passes_before.passes);
  const double draws = static_cast<double>(passes_.draws - passes_before.draws);
  const double drafted = static_cast<double>(now.draft_tokens - before.draft_tokens);
  const double accepted = static_cast<double>(now.accepted_tokens - before.accepted_tokens);
  metrics_ = {
      {"rollout/generated_tokens", tokens},
      {"rollout/prefill_tokens",
       static_cast<double>(now.prefilled_tokens - before.prefilled_tokens)},
      {"rollout/cached_tokens", static_cast<double>(now.cached_tokens - before.cached_tokens)},
      {"rollout/decode_steps", passes},
      {"rollout/tokens_per_second", seconds > 0 ? tokens / seconds : 0},
      {"rollout/draft_tokens", drafted},
      {"rollout/accepted_tokens", accepted},
      {"rollout/preemptions", static_cast<double>(now.preemptions - before.preemptions)},
      {"rollout/kv_peak_blocks", static_cast<double>(now.peak_blocks)},
      {"rollout/kv_bytes", static_cast<double>(runner_->kv_bytes())},
      {"memory/kv_gb", static_cast<double>(runner_->kv_bytes()) / kGiB},
      {"memory/rollout_weights_gb", static_cast<double>(runner_->weight_bytes()) / kGiB},
      {"rollout/seconds", seconds}};
  if (passes > 0) metrics_["rollout/mean_batch"] = draws / passes;
  if (draws > 0) metrics_["rollout/tokens_per_forward"] = tokens / draws;
  if (drafted > 0) metrics_["rollout/acceptance_rate"] = accepted / drafted;
}

}  // namespace longshot::rollout
