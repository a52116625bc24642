#include "rollout/remote/backend/server_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/log.h"
#include "base/os/clock.h"
#include "base/os/stop.h"
#include "base/rng.h"
#include "net/bulk/http_get.h"
#include "rollout/remote/backend/server_caller.h"
#include "rollout/remote/backend/weights_check.h"
#include "rollout/sampling/stop_rules.h"

namespace longshot::rollout {
namespace {

using data::FinishReason;

constexpr int kRetries = 3;              // of one request, while the server answers
constexpr double kFirstPause = 0.5;      // before the first of them; doubled for each further one
constexpr double kMomentSeconds = 0.02;  // the longest wait of advance()
constexpr double kHealthSeconds = 10;
constexpr uint64_t kHealthBytes = 1 << 20;
constexpr double kIdleCheckSeconds = 10;  // a server that was idle for longer is asked again

// Different for each part of a sample, so that a continued one does not repeat its random numbers.
uint64_t seed_of(const data::Sample& sample) {
  const uint64_t key = hash_combine(sample.seed, hash64(sample.prompt_id));
  return hash_combine(hash_combine(key, sample.index), sample.tokens.size()) >> 1;
}

// A job on its way: one thread reads its tokens.
struct Task {
  uint64_t job = 0;
  size_t server = 0;
  data::Sample sample;
  SamplingOptions sampling;
  RepetitionOptions repetition;
  std::optional<StopRules> rules;  // borrows the options above
  size_t cut_at = 0;               // response length at which it ends as partial; 0: never
  const tokenizer::Tokenizer* tokenizer = nullptr;
  std::atomic<bool> dropped{false}, done{false};
  std::jthread thread;  // last: it uses the members above
};

// News of a task, from its thread.
struct News {
  uint64_t job = 0;
  std::vector<data::TokenId> tokens;
  std::vector<float> logprobs;
  std::optional<FinishReason> end;
  std::string text;
  Status failure;
};

class ServerEngine final : public WorkerEngine {
 public:
  explicit ServerEngine(ServerEngineOptions options)
      : options_(std::move(options)),
        protocol_(make_protocol(options_.kind)),
        caller_(*protocol_, name(), options_.key, options_.silence_seconds) {
    for (const net::Url& url : options_.urls)
      servers_.push_back({url, WeightsCheck(options_.most_gap)});
  }
  ~ServerEngine() override { drop_all(); }

  void release() override {
    if (!std::exchange(told_of_memory_, true))
      log::info("{} keeps its memory while the model is trained", name());
  }

  Status load(const Json& settings, int64_t version, const Json& source) override {
    drop_all();
    ready_ = false;
    LS_ASSIGN_OR_RETURN(model_, options_.fetch(settings, version, source));
    Status last = ok_status();
    for (Server& server : servers_) {
      const Status loaded = load(server);
      server.usable = loaded.ok();
      if (server.usable) continue;
      if (!may_pass(loaded)) return lasting(loaded);
      log::warn("{}", loaded.message());
      last = loaded;
    }
    ready_ = std::ranges::any_of(servers_, [](const Server& s) { return s.usable; });
    return ready_ ? ok_status() : Status(StatusCode::unavailable, last.message());
  }

  Status add(wire::Job job, const EngineOptions& options) override {
    if (!ready_) return invalid_argument("its servers have no weights yet");
    if (!job.forced.empty())
      return invalid_argument(name() + " servers cannot score tokens that are given");
    LS_RETURN_IF_ERROR(protocol_->check_sampling(options.sampling, mode_));
    auto task = std::make_unique<Task>();
    task->job = job.id;
    task->sampling = options.sampling;
    task->sampling.max_response_length = job.max_response_length;
    task->repetition = options.repetition;
    task->tokenizer = model_.tokenizer;
    task->sample = std::move(job.sample);
    const size_t known = task->sample.tokens.size();
    if (job.segment_tokens > 0) task->cut_at = known + static_cast<size_t>(job.segment_tokens);
    task->rules.emplace(task->sampling, task->repetition, model_.tokenizer);
    for (size_t n = 1; n <= known; ++n)  // the state at the interruption
      (void)task->rules->update(std::span(task->sample.tokens).first(n));
    pending_.push_back(task.get());
    tasks_[task->job] = std::move(task);
    return ok_status();
  }

  void drop(uint64_t job) override {
    const auto it = tasks_.find(job);
    if (it == tasks_.end()) return;
    std::erase(pending_, it->second.get());
    it->second->dropped = true;
    if (it->second->thread.joinable()) leaving_.push_back(std::move(it->second));
    tasks_.erase(it);
    std::erase_if(leaving_, [](const auto& task) { return task->done.load(); });
  }

  Status advance(const JobEvents& events) override {
    if (!pending_.empty()) LS_RETURN_IF_ERROR(start_pending());
    for (News& news : wait_for_news()) LS_RETURN_IF_ERROR(report(news, events));
    return ok_status();
  }

  int running() const override { return static_cast<int>(tasks_.size() - pending_.size()); }
  int waiting() const override { return static_cast<int>(pending_.size()); }

 private:
  struct Server {
    net::Url url;
    WeightsCheck check;
    bool usable = false;
    Stopwatch since_answer = {};
  };

  std::string name() const { return std::string(name_of(options_.kind)); }

  static bool may_pass(const Status& status) {
    return status.code() == StatusCode::unavailable || status.code() == StatusCode::timeout;
  }

  // A server whose answers make no sense is not tried again.
  static Status lasting(const Status& status) {
    return status.code() == StatusCode::corrupt ? internal_error(status.message()) : status;
  }

  // Weights.

  Status load(Server& server) {
    const Stopwatch watch;
    const Deadline deadline = Deadline::after_seconds(options_.load_seconds);
    LS_RETURN_IF_ERROR(caller_.load(server.url, model_.folder, model_.version, deadline));
    const double seconds = watch.seconds();
    LS_ASSIGN_OR_RETURN(ProbeAnswer answer, probe(server));
    if (model_.score) {
      LS_ASSIGN_OR_RETURN(answer.own, model_.score(probe_prompt(model_.vocab_size), answer.tokens));
    }
    const double gap = mean_gap(answer.logprobs, answer.own);
    LS_RETURN_IF_ERROR(server.check.loaded(std::move(answer)).with_context(who(server)));
    LS_RETURN_IF_ERROR(learn_mode(server));
    log::info("{} loaded {} in {:.2f} s{}", who(server), model_.version, seconds,
              model_.score ? fmt::format("; log-probability gap {:.2g} nats", gap) : "");
    server.since_answer.restart();
    return ok_status();
  }

  std::string who(const Server& server) const { return name() + " at " + server.url.server; }

  // With top_k = 1 one token is left, whose log-probability is 0 if filters are applied.
  Status learn_mode(const Server& server) {
    ServerQuery query = probe_query();
    query.sampling.top_k = 1;
    query.max_tokens = 4;
    LS_ASSIGN_OR_RETURN(const ServerTokens answer, caller_.generate_all(server.url, query));
    mode_.after_filters = mean_gap(answer.logprobs, std::vector<float>(4, 0.0f)) < 1e-4;
    return ok_status();
  }

  ServerQuery probe_query() const {
    ServerQuery query{.tokens = probe_prompt(model_.vocab_size),
                      .sampling = {},
                      .max_tokens = kProbeTokens,
                      .seed = kProbeSeed,
                      .id = "longshot-probe"};
    query.sampling.temperature = 1;
    return query;
  }

  Result<ProbeAnswer> probe(const Server& server) {
    LS_ASSIGN_OR_RETURN(ServerTokens answer, caller_.generate_all(server.url, probe_query()));
    return ProbeAnswer{std::move(answer.tokens), std::move(answer.logprobs), {}};
  }

  // Jobs.

  // A server that was started again while it was idle has other weights, and nothing else tells.
  Status check_idle_servers() {
    for (Server& server : servers_) {
      const bool idle = std::ranges::none_of(tasks_, [&](const auto& t) {
        return &servers_[t.second->server] == &server && t.second->thread.joinable();
      });
      if (!server.usable || !idle || server.since_answer.seconds() < kIdleCheckSeconds) continue;
      LS_ASSIGN_OR_RETURN(const ProbeAnswer answer, probe(server));
      server.since_answer.restart();
      if (server.check.unchanged(answer)) continue;
      return unavailable(who(server) + " has other weights than it loaded");
    }
    return ok_status();
  }

  Status start_pending() {
    const Status sound = check_idle_servers();
    if (!sound.ok()) return failed(sound);
    for (Task* task : std::exchange(pending_, {})) {
      task->server = least_loaded();
      task->thread = std::jthread([this, task] {
        generate(*task);
        task->done = true;
      });
    }
    return ok_status();
  }

  size_t least_loaded() const {
    std::vector<size_t> load(servers_.size(), 0);
    for (const auto& [job, task] : tasks_)
      if (task->thread.joinable()) ++load[task->server];
    size_t best = 0;
    for (size_t i = 0; i < servers_.size(); ++i)
      if (servers_[i].usable && (!servers_[best].usable || load[i] < load[best])) best = i;
    return best;
  }

  std::vector<News> wait_for_news() {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, std::chrono::duration<double>(kMomentSeconds),
                      [this] { return !news_.empty(); });
    return std::exchange(news_, {});
  }

  Status report(News& news, const JobEvents& events) {
    const auto it = tasks_.find(news.job);
    if (it == tasks_.end()) return ok_status();  // dropped meanwhile
    servers_[it->second->server].since_answer.restart();
    for (size_t i = 0; i < news.tokens.size(); ++i)
      events.token(news.job, news.tokens[i], news.logprobs[i]);
    if (!news.end && news.failure.ok()) return ok_status();
    tasks_.erase(it);  // its thread has ended
    if (news.end) events.ended(news.job, *news.end, std::move(news.text));
    if (news.failure.code() == StatusCode::invalid_argument) {
      events.refused(news.job, news.failure.message());
    } else if (!news.failure.ok()) {
      return failed(news.failure);
    }
    return ok_status();
  }

  // The weights of the servers are not known any more.
  Status failed(const Status& reason) {
    ready_ = false;
    if (!may_pass(reason)) return lasting(reason);
    log::warn("{}; the samples go to others and the weights are loaded again", reason.message());
    return unavailable(reason.message());
  }

  void drop_all() {
    pending_.clear();
    for (auto& [job, task] : tasks_) task->dropped = true;
    for (auto& task : leaving_) task->dropped = true;
    tasks_.clear();
    leaving_.clear();
    std::lock_guard lock(mutex_);
    news_.clear();
  }

  // Functions of a task's thread.

  void generate(Task& task) {
    double pause = kFirstPause;
    for (int failures = 0; !task.dropped;) {
      const size_t before = task.sample.tokens.size();
      const Status done = request(task);
      if (done.ok() || task.dropped) return;
      if (task.sample.tokens.size() > before) failures = 0;
      const bool again = done.code() == StatusCode::exhausted || done.code() == StatusCode::corrupt;
      if (!again || ++failures > kRetries) return tell(task, {.failure = passing(done)});
      log::warn("{}; the request is repeated", done.message());
      sleep_unless_stopped(Deadline::after_seconds(std::exchange(pause, 2 * pause)));
    }
  }

  static Status passing(const Status& status) {
    return status.code() == StatusCode::exhausted ? unavailable(status.message()) : status;
  }

  // One request. Ok: the task has ended.
  Status request(Task& task) {
    const data::Sample& sample = task.sample;
    ServerQuery query{.tokens = sample.prompt_tokens,
                      .sampling = task.sampling,
                      .max_tokens = task.sampling.max_response_length,
                      .seed = seed_of(sample),
                      .id = fmt::format("longshot-{}-{}", task.job, sample.tokens.size())};
    query.tokens.insert(query.tokens.end(), sample.tokens.begin(), sample.tokens.end());
    const size_t end = task.cut_at > 0
                           ? std::min(task.cut_at, static_cast<size_t>(query.max_tokens))
                           : static_cast<size_t>(query.max_tokens);
    query.max_tokens = static_cast<int>(end - std::min(end, sample.tokens.size()));
    if (query.max_tokens == 0) return finish(task, FinishReason::length);
    return caller_.generate(
        servers_[task.server].url, query, [&task] { return task.dropped.load(); },
        [&](const ServerTokens& tokens) { return take(task, tokens); });
  }

  // Returns true once the sample has ended.
  bool take(Task& task, const ServerTokens& answer) {
    News news;
    for (size_t i = 0; i < answer.tokens.size() && !news.end; ++i) {
      task.sample.tokens.push_back(answer.tokens[i]);
      news.tokens.push_back(answer.tokens[i]);
      news.logprobs.push_back(answer.logprobs[i]);
      news.end = task.rules->update(task.sample.tokens);
      if (!news.end && task.sample.tokens.size() == task.cut_at) news.end = FinishReason::partial;
    }
    const bool ended = news.end.has_value();
    if (ended) news.text = text_of(task);
    if (ended || !news.tokens.empty()) tell(task, std::move(news));
    return ended;
  }

  Status finish(Task& task, FinishReason reason) {
    tell(task, {.end = reason, .text = text_of(task)});
    return ok_status();
  }

  static std::string text_of(const Task& task) {
    if (task.tokenizer == nullptr) return "";
    return response_text(*task.tokenizer, task.sample.tokens, task.sampling.stop_strings);
  }

  void tell(const Task& task, News news) {
    news.job = task.job;
    {
      std::lock_guard lock(mutex_);
      news_.push_back(std::move(news));
    }
    arrived_.notify_all();
  }

  const ServerEngineOptions options_;
  const std::unique_ptr<ServerProtocol> protocol_;
  ServerCaller caller_;
  std::vector<Server> servers_;
  ServedModel model_;
  LogprobMode mode_;
  bool ready_ = false;  // the servers have the weights of the last load()
  bool told_of_memory_ = false;
  std::mutex mutex_;  // guards news_
  std::condition_variable arrived_;
  std::vector<News> news_;
  std::vector<Task*> pending_;  // not started yet; owned by tasks_
  std::map<uint64_t, std::unique_ptr<Task>> tasks_;
  std::vector<std::unique_ptr<Task>> leaving_;  // dropped, and their threads are about to end
};

}  // namespace

Status check_reachable(const ServerEngineOptions& options) {
  Status last = ok_status();
  for (const net::Url& url : options.urls) {
    if (url.server.starts_with("https://")) return ok_status();  // http_get() is without TLS
    const auto answer = net::http_get({url.server, "/health"}, {.token = options.key}, kHealthBytes,
                                      Deadline::after_seconds(kHealthSeconds));
    if (answer.ok()) return ok_status();
    last = answer.status();
  }
  return unavailable(
      fmt::format("the {} server is not ready: {}", name_of(options.kind), last.message()));
}

std::unique_ptr<WorkerEngine> make_server_engine(ServerEngineOptions options) {
  return std::make_unique<ServerEngine>(std::move(options));
}

}  // namespace longshot::rollout
