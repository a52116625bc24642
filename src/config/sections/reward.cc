#include "config/sections/reward.h"

#include "base/settings/checks.h"

namespace longshot::config {

void bind(Settings& s, RewardOptions& o, std::span<const reward::RewardType> more) {
  auto& r = o.stage;
  o.more = more;
  s.add_parsed("reward.functions", &o.functions,
               "list of NAME, NAME:WEIGHT or tables with options; docs/rewards.md",
               [&r, more](const Json& list) -> Status {
                 LS_ASSIGN_OR_RETURN(r.rewards, reward::parse_reward_list(list, more));
                 return ok_status();
               });
  s.add("reward.timeout", &r.timeout_seconds, "seconds per judgement", above(0));
  s.add("reward.retries", &r.retries, "after a failure of the reward itself", at_least(0));
  s.add("reward.threads", &r.threads, "judgements at a time", at_least(1));
  s.add("reward.repetition_penalty", &r.repetition_penalty,
        "taken off when a sample ended by repeat detection", at_least(0.0));
  s.add("reward.length_weight", &r.length_weight, "weight of the length reward; 0 = off",
        at_least(0.0));
  s.add("reward.length_warmup_iterations", &r.length_warmup_iterations,
        "iterations before the length reward is switched on", at_least(0));
  s.add(
      "reward.overlong_buffer", &r.overlong_buffer,
      "tokens before data.max_response_length over which the penalty of long responses grows from "
      "0 to its full size (DAPO); 0 = off",
      at_least(0));
  s.add("reward.overlong_penalty", &r.overlong_penalty,
        "full size of that penalty, at data.max_response_length", at_least(0.0));
}

}  // namespace longshot::config
