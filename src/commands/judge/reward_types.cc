#include "commands/judge/reward_types.h"

#include <chrono>
#include <limits>
#include <memory>
#include <semaphore>
#include <string>
#include <vector>

#include "base/os/stop.h"
#include "commands/judge/sandbox_limits.h"
#include "reward/code/code.h"
#include "reward/learned/types.h"
#include "reward/rules/rules.h"
#include "sandbox/sandbox.h"
#include "sandbox/service/request.h"

namespace longshot::commands {
namespace {

constexpr auto kTick = std::chrono::milliseconds(50);
// The wall time that the sandbox gives a program (sandbox::Limits::set_processor_time), so the
// sandbox always ends first.
constexpr reward::Patience kPatience{20, 60};

// A sandbox and the defaults of its requests.
class OwnSandbox {
 public:
  static Result<std::shared_ptr<OwnSandbox>> start(const sandbox::PoolOptions& options) {
    LS_ASSIGN_OR_RETURN(auto sandbox, sandbox::Sandbox::create(options));
    warn_of_weaker_isolation(sandbox->pool().isolation());
    return std::shared_ptr<OwnSandbox>(new OwnSandbox(std::move(sandbox)));
  }

  // The time that a program waits for a slot does not count as time of its judgement.
  Result<bool> run(const Json& request, Deadline given) const {
    const double seconds = given.seconds_left();
    while (!free_.try_acquire_for(kTick)) {
      if (stop_requested()) return cancelled("stopped");
    }
    const auto passed = run_now(request, Deadline::after_seconds(seconds));
    free_.release();
    return passed;
  }

 private:
  explicit OwnSandbox(std::unique_ptr<sandbox::Sandbox> sandbox)
      : sandbox_(std::move(sandbox)),
        defaults_{.limits = default_limits({})},
        free_(sandbox_->pool().stats().slots) {}

  Result<bool> run_now(const Json& request, Deadline deadline) const {
    const auto passed = sandbox::passes_tests(
        *sandbox_, defaults_, request, [&] { return deadline.expired() || stop_requested(); });
    const bool late = passed.status().code() == StatusCode::cancelled && !stop_requested();
    return late ? timeout_error("reward code: not run within the time of a judgement") : passed;
  }

  const std::unique_ptr<sandbox::Sandbox> sandbox_;
  const sandbox::RequestDefaults defaults_;
  mutable std::counting_semaphore<> free_;  // slots without a judgement
};

Result<sandbox::PoolOptions> pool_options(const Json& options) {
  constexpr const char* kWho = "reward code";
  sandbox::PoolOptions pool;
  pool.max_waiting = std::numeric_limits<int>::max();  // reward.threads is the limit
  LS_ASSIGN_OR_RETURN(pool.slots, json_get_or<int>(options, "slots", 0, kWho));
  LS_ASSIGN_OR_RETURN(pool.python, json_get_or<std::string>(options, "python", "", kWho));
  LS_ASSIGN_OR_RETURN(pool.directories,
                      json_get_or<std::vector<std::string>>(options, "show", {}, kWho));
  if (pool.slots < 0) return invalid_argument(std::string(kWho) + ": slots must be >= 0");
  return pool;
}

Result<std::unique_ptr<reward::Reward>> make_code(const Json& options) {
  if (options.is_object() && options.contains("url")) return reward::make_code(options);
  std::vector<std::string> known = reward::code_options();
  known.insert(known.end(), {"url", "slots", "python", "show"});
  LS_RETURN_IF_ERROR(reward::check_options("code", options, known));
  LS_ASSIGN_OR_RETURN(const auto pool, pool_options(options));
  LS_ASSIGN_OR_RETURN(const auto own, OwnSandbox::start(pool));
  Json others = options;
  if (others.is_object())
    for (const char* key : {"slots", "python", "show"}) others.erase(key);
  return reward::make_code(
      others, [own](const Json& request, Deadline deadline) { return own->run(request, deadline); },
      kPatience);
}

}  // namespace

std::span<const reward::RewardType> reward_types() {
  static const std::vector<reward::RewardType> table = [] {
    const auto learned = reward::learned_types();
    std::vector<reward::RewardType> all(learned.begin(), learned.end());
    all.push_back({"code", make_code, true});
    return all;
  }();
  return table;
}

Result<std::vector<reward::RewardSpec>> parse_rewards(const std::vector<std::string>& words) {
  Json list = Json::array();
  for (const std::string& word : words) {
    if (!word.starts_with("{")) {
      list.push_back(word);
      continue;
    }
    LS_ASSIGN_OR_RETURN(Json object, parse_json(word, "--reward"));
    list.push_back(std::move(object));
  }
  return reward::parse_reward_list(list, reward_types());
}

}  // namespace longshot::commands
