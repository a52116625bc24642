#pragma once
// Section [reward]: how samples are judged.

#include <span>

#include "base/json.h"
#include "base/settings/settings.h"
#include "reward/reward.h"

namespace longshot::config {

struct RewardOptions {
  Json functions = Json::array({"auto"});  // as written; stage.rewards is what it says
  reward::RewardOptions stage;
  std::span<const reward::RewardType> more;  // borrowed: kinds of rewards beyond the built-in ones
};

// `more`: the kinds of rewards beyond the built-in ones, borrowed by the options.
void bind(Settings& settings, RewardOptions& options, std::span<const reward::RewardType> more);

}  // namespace longshot::config
