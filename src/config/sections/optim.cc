#include "config/sections/optim.h"

#include <fmt/format.h>

#include "base/settings/checks.h"

namespace longshot::config {

void bind(Settings& s, train::OptimizerOptions& o) {
  s.add("optim.lr", &o.lr, "peak learning rate", above(0));
  s.add("optim.beta1", &o.beta1, "AdamW decay of the first moment", within_but_not_at(0, 1));
  s.add("optim.beta2", &o.beta2, "AdamW decay of the second moment", within_but_not_at(0, 1));
  s.add("optim.eps", &o.eps, "AdamW epsilon", above(0));
  s.add("optim.weight_decay", &o.weight_decay, "decoupled weight decay; not on norms and biases",
        at_least(0.0));
  s.add("optim.clip_grad", &o.clip_grad, "global gradient norm; 0 = no clipping", at_least(0.0));
  s.add("optim.schedule", &o.schedule, "learning rate after the warm-up");
  s.add("optim.warmup_steps", &o.warmup_steps, "optimizer steps of linear warm-up",
        at_least(int64_t{0}));
  s.add("optim.moments", &o.moments,
        "number format of AdamW's moments: 8, 4 or 2 bytes a parameter for both; fewer than 32 "
        "bits need trainer.device=cpu",
        {NumberFormat::f32, NumberFormat::bf16, NumberFormat::int8});
  s.add("optim.min_lr_ratio", &o.min_lr_ratio, "last learning rate / peak, for linear and cosine",
        within(0, 1));
}

Status validate(const train::OptimizerOptions& o, const MachineOptions& machine) {
  if (o.moments == NumberFormat::f32 || machine.is_cpu()) return ok_status();
  return invalid_argument(
      fmt::format("optim.moments={} needs trainer.device=cpu", name_of(o.moments)));
}

}  // namespace longshot::config
