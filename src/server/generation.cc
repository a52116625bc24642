#include "server/generation.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "rollout/jobs.h"

namespace longshot::server {
namespace {

// Interval of the checks whether the client is still connected.
constexpr double kLookSeconds = 0.05;

// Measures the time to the first token and between the tokens of one sample.
class TokenTimer {
 public:
  explicit TokenTimer(ModelMetrics& metrics) : metrics_(metrics) {}
  void token() {
    const double seconds = since_.seconds();
    (first_ ? metrics_.time_to_first_token : metrics_.inter_token).observe(seconds);
    first_ = false;
    since_.restart();
  }

 private:
  ModelMetrics& metrics_;
  Stopwatch since_;
  bool first_ = true;
};

// How often the same prompt comes before this one in the request. Tokens depend on the prompt and
// an index, so that equal prompts need different ones to be answered independently.
int repeats_of(const GenerateParams& params, size_t prompt) {
  int count = 0;
  for (size_t i = 0; i < prompt; ++i)
    if (params.prompts[i] == params.prompts[prompt] && &params.model(i) == &params.model(prompt))
      ++count;
  return count;
}

}  // namespace

void Generation::Queue::push(Event event) {
  {
    std::lock_guard lock(mutex);
    events.push_back(std::move(event));
  }
  filled.notify_one();
}

std::optional<Event> Generation::Queue::pop(double seconds) {
  std::unique_lock lock(mutex);
  filled.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return !events.empty(); });
  if (events.empty()) return std::nullopt;
  Event event = std::move(events.front());
  events.pop_front();
  return event;
}

rollout::Job Generation::job(const Context& context, const GenerateParams& params, int choice,
                             bool with_tokens) const {
  const auto number = static_cast<size_t>(choice / params.n);
  const TokenIds& prompt = params.prompts[number];
  rollout::Job job;
  data::Sample& sample = job.request.sample;
  sample.prompt_id = rollout::content_id(prompt);
  sample.index = static_cast<uint32_t>(repeats_of(params, number) * params.n + choice % params.n);
  sample.seed = params.seed;
  sample.prompt_tokens = prompt;
  job.request.sampling = params.sampling;
  job.request.adapter = params.model(number).adapter;
  const int forced = params.forced(number);
  if (params.echo) {
    sample.prompt_tokens.resize(1);
    job.request.forced.assign(prompt.begin() + 1, prompt.end());
    int& longest = job.request.sampling.max_response_length;
    longest = std::max(1, longest + forced);  // one token at least; answer() leaves it out
  }
  // A client limits answers with max_tokens; loops are not cut.
  job.request.repetition.enabled = false;
  job.deadline = Deadline::after_seconds(params.timeout_seconds);
  job.on_token = [queue = queue_, choice, with_tokens, left = forced,
                  timer = TokenTimer(context.metrics)](const rollout::Choice& token) mutable {
    if (--left < 0) timer.token();
    if (with_tokens) queue->push({choice, token, std::nullopt});
  };
  job.on_finished = [queue = queue_, choice](rollout::Outcome outcome) {
    queue->push({choice, {}, std::move(outcome)});
  };
  return job;
}

Result<std::unique_ptr<Generation>> Generation::start(const Context& context,
                                                      const GenerateParams& params,
                                                      bool with_tokens) {
  std::unique_ptr<Generation> made(new Generation(context.worker));
  std::vector<rollout::Job> jobs;
  const uint64_t choices = uint64_t{params.prompts.size()} * static_cast<uint64_t>(params.n);
  const auto limit = static_cast<uint64_t>(context.worker.max_samples());
  if (choices > limit) {
    return invalid_argument(
        fmt::format("{} prompts with n = {} are {} samples; this server takes {} at once",
                    params.prompts.size(), params.n, choices, limit));
  }
  for (int i = 0; i < static_cast<int>(choices); ++i)
    jobs.push_back(made->job(context, params, i, with_tokens));
  LS_ASSIGN_OR_RETURN(made->ids_, context.worker.submit(std::move(jobs)));
  return made;
}

Generation::~Generation() {
  if (ended_ < choices()) abort("the client is gone");
}

std::optional<Event> Generation::next(const net::Connection& connection) {
  while (ended_ < choices() && !abandoned_) {
    std::optional<Event> event = queue_->pop(kLookSeconds);
    if (connection.gone()) {
      abandoned_ = true;
      abort("the client is gone");
    } else if (event) {
      if (event->end) ++ended_;
      return event;
    }
  }
  return std::nullopt;
}

void Generation::abort(const std::string& reason) {
  for (const int64_t id : ids_) worker_.abort(id, reason);
}

}  // namespace longshot::server
