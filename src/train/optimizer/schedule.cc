#include "train/optimizer/schedule.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace longshot::train {

Status check_optimizer_options(const OptimizerOptions& o) {
  const auto wrong = [](const char* key, double value, const char* rule) {
    return invalid_argument(fmt::format("optim.{} = {} must be {}", key, value, rule));
  };
  if (!(o.lr >= 0) || !std::isfinite(o.lr)) return wrong("lr", o.lr, ">= 0");
  if (!(o.beta1 >= 0 && o.beta1 < 1)) return wrong("beta1", o.beta1, "in [0, 1)");
  if (!(o.beta2 >= 0 && o.beta2 < 1)) return wrong("beta2", o.beta2, "in [0, 1)");
  if (!(o.eps > 0)) return wrong("eps", o.eps, "> 0");
  if (!(o.weight_decay >= 0)) return wrong("weight_decay", o.weight_decay, ">= 0");
  if (!(o.clip_grad >= 0)) return wrong("clip_grad", o.clip_grad, ">= 0 (0 = off)");
  if (o.warmup_steps < 0) return wrong("warmup_steps", static_cast<double>(o.warmup_steps), ">= 0");
  if (!(o.min_lr_ratio >= 0 && o.min_lr_ratio <= 1)) {
    return wrong("min_lr_ratio", o.min_lr_ratio, "in [0, 1]");
  }
  if (o.schedule != "constant" && o.schedule != "linear" && o.schedule != "cosine") {
    return invalid_argument(fmt::format(
        "optim.schedule = \"{}\" is unknown; choose constant, linear or cosine", o.schedule));
  }
  if (o.moments != "float32" && o.moments != "bfloat16" && o.moments != "int8") {
    return invalid_argument(fmt::format(
        "optim.moments = \"{}\" is unknown; choose float32, bfloat16 or int8", o.moments));
  }
  return ok_status();
}

double learning_rate(const OptimizerOptions& o, int64_t step, int64_t total_steps) {
  if (step < o.warmup_steps) {
    return o.lr * static_cast<double>(step + 1) / static_cast<double>(o.warmup_steps);
  }
  if (o.schedule == "constant" || total_steps <= 0) return o.lr;
  const auto span = static_cast<double>(std::max<int64_t>(1, total_steps - 1 - o.warmup_steps));
  const double progress = std::min(1.0, static_cast<double>(step - o.warmup_steps) / span);
  const double left =
      o.schedule == "linear" ? 1.0 - progress : 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  return o.lr * (o.min_lr_ratio + (1.0 - o.min_lr_ratio) * left);
}

}  // namespace longshot::train
