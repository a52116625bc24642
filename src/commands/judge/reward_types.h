#pragma once
// Reward functions whose dependencies reward/ may not have, for every command that judges.

#include <span>

#include "reward/reward.h"

namespace longshot::commands {

// "rm": reward/learned/types.h.
// "code" without a url: runs programs in a sandbox of this process, which is started when the
// reward is created.
//   {"slots": 0, "python": "", "show": []}, as for `longshot sandbox`, and make_code's options
std::span<const reward::RewardType> reward_types();

}  // namespace longshot::commands
