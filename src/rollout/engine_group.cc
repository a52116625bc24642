#include "rollout/engine_group.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/os/clock.h"

namespace longshot::rollout {
namespace {

// The part of a generate() that one engine does.
struct Share {
  std::vector<size_t> jobs;
  int64_t budget = 0;  // 0: unlimited
  bool spent = false;  // the budget leaves nothing for it
  Progress progress;
  double seconds = 0;
  Result<std::vector<data::Sample>> samples = std::vector<data::Sample>();
  std::exception_ptr exception;
};

std::vector<Share> share_out(const std::vector<data::Sample>& jobs, int64_t budget,
                             size_t workers) {
  std::vector<Share> shares(workers);
  // Groups stay together, because they share their prompt.
  std::map<std::pair<std::string, uint64_t>, Share*> worker_of;
  for (size_t i = 0; i < jobs.size(); ++i) {
    Share*& share = worker_of[{jobs[i].prompt_id, jobs[i].seed}];
    if (share == nullptr) {
      share = &*std::ranges::min_element(shares, {}, [](const Share& s) { return s.jobs.size(); });
    }
    share->jobs.push_back(i);
  }
  const auto count = static_cast<int64_t>(workers);
  for (int64_t w = 0; w < count; ++w) {
    shares[w].budget = budget * (w + 1) / count - budget * w / count;
    shares[w].spent = budget > 0 && shares[w].budget == 0;
  }
  return shares;
}

// Combines what the engines report while they run.
class Monitor {
 public:
  Monitor(const EngineOptions& options, std::vector<Share>& shares,
          const std::function<void(const Progress&)>& on_progress)
      : options_(options), shares_(shares), on_progress_(on_progress) {}

  EngineOptions options_for(const Share& share) {
    follow_cancel();
    EngineOptions options = options_;
    options.token_budget = share.budget;
    options.cancel = &stop_;
    if (options_.on_finished) {
      options.on_finished = [this](const data::Sample& sample) {
        std::lock_guard lock(mutex_);
        options_.on_finished(sample);
      };
    }
    return options;
  }

  void update(Share& share, const Progress& progress) {
    follow_cancel();
    std::lock_guard lock(mutex_);
    share.progress = progress;
    if (!on_progress_) return;
    Progress sum;
    for (const Share& s : shares_) {
      sum.finished += s.progress.finished;
      sum.total += static_cast<int64_t>(s.jobs.size());
      sum.generated_tokens += s.progress.generated_tokens;
    }
    on_progress_(sum);
  }

  void stop() { stop_.store(true); }

 private:
  void follow_cancel() {
    if (options_.cancel != nullptr && options_.cancel->load()) stop();
  }

  const EngineOptions& options_;
  std::vector<Share>& shares_;
  const std::function<void(const Progress&)>& on_progress_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
};

void run_share(Engine& engine, const std::vector<data::Sample>& jobs, Share& share,
               Monitor& monitor) {
  const Stopwatch watch;
  std::vector<data::Sample> mine;
  for (const size_t i : share.jobs) mine.push_back(jobs[i]);
  if (share.spent) {
    for (data::Sample& sample : mine) sample.finish = data::FinishReason::partial;
    share.samples = std::move(mine);
  } else {
    share.samples =
        engine.generate(std::move(mine), monitor.options_for(share),
                        [&](const Progress& progress) { monitor.update(share, progress); });
  }
  if (!share.samples.ok()) monitor.stop();
  share.seconds = watch.seconds();
}

// Keeps an exception in the share until all threads have ended.
void run(Engine& engine, const std::vector<data::Sample>& jobs, Share& share, Monitor& monitor) {
  try {
    run_share(engine, jobs, share, monitor);
  } catch (...) {
    share.exception = std::current_exception();
    monitor.stop();
  }
}

// Combines the metrics of the engines. Means and rates are those of all passes together; everything
// else is summed. Only seconds, tokens_per_second and idle_share depend on the clock.
Metrics joined(const std::vector<std::unique_ptr<Engine>>& engines,
               const std::vector<Share>& shares, double seconds) {
  Metrics sum;
  double busy = 0, draws = 0;
  for (size_t w = 0; w < engines.size(); ++w) {
    if (shares[w].spent) continue;
    const Metrics& own = engines[w]->metrics();
    for (const auto& [name, value] : own) sum[name] += value;
    const auto batch = own.find("rollout/mean_batch");
    if (batch != own.end()) draws += std::round(batch->second * own.at("rollout/decode_steps"));
    busy += shares[w].seconds;
  }
  const double tokens = sum["rollout/generated_tokens"],
               workers = static_cast<double>(engines.size());
  const auto set_ratio = [&](const char* name, double part, double whole) {
    if (whole > 0) sum[name] = part / whole;
  };
  set_ratio("rollout/mean_batch", draws, sum["rollout/decode_steps"]);
  set_ratio("rollout/tokens_per_forward", tokens, draws);
  set_ratio("rollout/acceptance_rate", sum["rollout/accepted_tokens"], sum["rollout/draft_tokens"]);
  sum["rollout/workers"] = workers;
  sum["rollout/seconds"] = seconds;
  sum["rollout/tokens_per_second"] = seconds > 0 ? tokens / seconds : 0;
  sum["perf/rollout_idle_share"] = seconds > 0 ? std::max(0.0, 1 - busy / (seconds * workers)) : 0;
  return sum;
}

}  // namespace

EngineGroup::EngineGroup(std::vector<std::unique_ptr<Engine>> engines)
    : engines_(std::move(engines)) {
  LS_CHECK(!engines_.empty(), "a rollout needs a worker");
}

Status EngineGroup::load_weights(const model::WeightsView& weights) {
  for (const auto& engine : engines_) LS_RETURN_IF_ERROR(engine->load_weights(weights));
  return ok_status();
}

Result<std::vector<data::Sample>> EngineGroup::generate(
    std::vector<data::Sample> jobs, const EngineOptions& options,
    const std::function<void(const Progress&)>& on_progress) {
  if (options.token_budget < 0)
    return invalid_argument("token_budget must be 0 (unlimited) or larger");
  const Stopwatch watch;
  std::vector<Share> shares = share_out(jobs, options.token_budget, engines_.size());
  Monitor monitor(options, shares, on_progress);
  std::vector<std::jthread> threads;  // joined even if a later one cannot be started
  for (size_t w = 1; w < engines_.size(); ++w) {
    threads.emplace_back([&, w] { run(*engines_[w], jobs, shares[w], monitor); });
  }
  run(*engines_[0], jobs, shares[0], monitor);
  for (std::jthread& thread : threads) thread.join();
  for (Share& share : shares) {
    if (share.exception) std::rethrow_exception(share.exception);
    LS_RETURN_IF_ERROR(share.samples.status());
    for (size_t i = 0; i < share.jobs.size(); ++i) {
      jobs[share.jobs[i]] = std::move((*share.samples)[i]);
    }
  }
  metrics_ = joined(engines_, shares, watch.seconds());
  return jobs;
}

}  // namespace longshot::rollout
