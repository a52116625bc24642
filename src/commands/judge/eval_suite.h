#pragma once
// `longshot eval --suite`.

#include <string>
#include <vector>

#include "config/sections/reward.h"
#include "inference/open_model.h"
#include "rollout/engine.h"

namespace longshot::commands {

struct SuiteOptions {
  std::string file, output;
  std::vector<std::string> tasks;  // empty: all
  bool dry_run = false;
  inference::ModelChoice model;
  inference::EngineChoice device;
  uint64_t seed = 1;
  int max_problems = 0, max_concurrent = 256;
  rollout::Speculation speculation = rollout::Speculation::off;
  reward::RewardOptions reward;
};

Status run_eval_suite(const SuiteOptions& options);

}  // namespace longshot::commands
