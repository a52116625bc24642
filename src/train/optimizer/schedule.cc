#include "train/optimizer/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace longshot::train {

double learning_rate(const OptimizerOptions& o, int64_t step, int64_t total_steps) {
  if (step < o.warmup_steps) {
    return o.lr * static_cast<double>(step + 1) / static_cast<double>(o.warmup_steps);
  }
  if (o.schedule == Schedule::constant || total_steps <= 0) return o.lr;
  const auto span = static_cast<double>(std::max<int64_t>(1, total_steps - 1 - o.warmup_steps));
  const double progress = std::min(1.0, static_cast<double>(step - o.warmup_steps) / span);
  const double left = o.schedule == Schedule::linear
                          ? 1.0 - progress
                          : 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  return o.lr * (o.min_lr_ratio + (1.0 - o.min_lr_ratio) * left);
}

std::string warmup_problem(const OptimizerOptions& o, int64_t total_steps) {
  if (total_steps <= 0 || o.warmup_steps < total_steps || o.warmup_steps <= 1) return "";
  return fmt::format(
      "optim.warmup_steps is {} and the learning rate's schedule has {} steps, so optim.lr is {}",
      o.warmup_steps, total_steps,
      o.warmup_steps == total_steps ? "reached only by the last one" : "never reached");
}

}  // namespace longshot::train
