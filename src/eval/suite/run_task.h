#pragma once
// Runs one task of a suite with a model.

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/suite/items.h"
#include "eval/suite/task_file.h"
#include "reward/reward.h"
#include "rollout/engine.h"

namespace longshot::eval {

struct TaskRun {
  uint64_t seed = 1;
  int batch = 256;  // samples between two writes
  std::vector<data::TokenId> end_tokens;
  rollout::Speculation speculation = rollout::Speculation::off;
  std::function<void(size_t done, size_t total)> on_progress;
};

// Answers the items that `file` has no rows of, and appends theirs: rows of judged samples, or with
// kind likelihood {"id", "prompt", "choices", "answer", "logprobs", "pick", "pick_norm"}.
// Stored samples that have an error instead of a verdict are judged again first, and `file` is
// rewritten. `rewards` may be null with kind likelihood. Results do not depend on `batch`, or on
// how often the run was interrupted. Status cancelled after stop_requested(), with finished batches
// written.
Status run_task(rollout::Engine& engine, const Task& task, const std::vector<Item>& items,
                reward::RewardStage* rewards, const TaskRun& run, TaskFile& file);

}  // namespace longshot::eval
