#pragma once
// Learning rate of a step. Torch-free.

#include <cstdint>
#include <string>

#include "train/options.h"

namespace longshot::train {

// Step 0 is the first. Warm-up rises linearly: (step + 1) / warmup_steps of lr, reaching lr at step
// warmup_steps - 1. Then constant, or linear or cosine down to min_lr_ratio * lr at step
// total_steps - 1, where it stays. total_steps <= 0 means the end is unknown: the rate stays at lr.
double learning_rate(const OptimizerOptions& options, int64_t step, int64_t total_steps);

// What is wrong if the warm-up does not end within `total_steps`, else "".
std::string warmup_problem(const OptimizerOptions& options, int64_t total_steps);

}  // namespace longshot::train
