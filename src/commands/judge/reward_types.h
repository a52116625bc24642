#pragma once
// Reward functions whose dependencies reward/ may not have, for every command that judges.

#include <span>
#include <string>
#include <vector>

#include "reward/reward.h"

namespace longshot::commands {

// "rm": reward/learned/types.h.
// "code" without a url: runs programs in a sandbox of this process, which is started when the
// reward is created.
//   {"slots": 0, "python": "", "show": []}, as for `longshot sandbox`, and make_code's options
std::span<const reward::RewardType> reward_types();

// Reads the words of a --reward flag: NAME, NAME:WEIGHT, or a JSON object with options.
Result<std::vector<reward::RewardSpec>> parse_rewards(const std::vector<std::string>& words);

}  // namespace longshot::commands
