#pragma once
// Reward functions with more behind them than reward/ may know of, for every command that judges.

#include <span>

#include "reward/reward.h"

namespace longshot::commands {

// "rm": reward/learned/types.h.
// "code" without a url: programs run in a sandbox of this process, started when such a reward is made.
//   {"slots": 0, "python": "", "show": []} beside make_code's options: as of `longshot sandbox`
std::span<const reward::RewardType> reward_types();

}  // namespace longshot::commands
