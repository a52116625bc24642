#include "config/sections/trainer.h"

#include <bit>

#include "base/settings/checks.h"

namespace longshot::config {
namespace {

std::string power_of_two(const int& value) {
  const bool is = value >= 1 && std::has_single_bit(static_cast<unsigned>(value));
  return is ? "" : "must be a power of two, such as 1, 2 or 4";
}

}  // namespace

void bind(Settings& s, TrainerOptions& o) {
  s.add("trainer.total_iterations", &o.total_iterations, "RL iterations", at_least(int64_t{0}));
  s.add("trainer.total_epochs", &o.total_epochs,
        "passes over the training prompts, in place of total_iterations: a pass has as many "
        "iterations as there are whole batches of data.train_batch_size prompts; 0 = "
        "total_iterations counts",
        at_least(int64_t{0}));
  s.add("trainer.save_freq", &o.save_freq, "iterations between checkpoints; 0 = only at the end",
        at_least(int64_t{0}));
  s.add("trainer.keep_checkpoints", &o.keep_checkpoints, "newest checkpoints kept", at_least(1));
  s.add("trainer.keep_best", &o.keep_best,
        "keep the best evaluated checkpoint too, as the link <run folder>/best; docs/phases.md");
  s.add("trainer.best_margin", &o.best_margin,
        "keep_best: held-out accuracy that a shorter mean response may cost", within(0, 1));
  s.add("trainer.test_freq", &o.test_freq, "iterations between held-out evaluations; 0 = never",
        at_least(int64_t{0}));
  s.add("trainer.val_n", &o.val_n, "samples per held-out problem", at_least(1));
  s.add("trainer.val_temperature", &o.val_temperature, "0 = greedy", at_least(0.0));
  s.add("trainer.val_max_prompts", &o.val_max_prompts, "first held-out problems used; 0 = all",
        at_least(0));
  s.add("trainer.val_before_train", &o.val_before_train, "evaluate before the first iteration");
  s.add("trainer.val_only", &o.val_only,
        "only evaluate the model, or the checkpoint that the run would continue from; the results "
        "go to <run folder>/val_only, and the run itself is not changed");
  s.add("trainer.resume_mode", &o.resume_mode,
        "auto = newest good checkpoint of the run folder, disable, or a global_step_N path");
  s.add("trainer.default_local_dir", &o.output, "run folder");
  s.add("trainer.seed", &o.seed, "of everything random", at_least(int64_t{0}));
  s.add("trainer.lanes", &o.lanes,
        "parts of an optimizer step whose gradients are added in a fixed order, so that up to as "
        "many trainers compute the same weights; a power of two; it changes the rounding and needs "
        "memory for log2(lanes) more gradients",
        power_of_two);
  s.add("trainer.log_samples", &o.log_samples, "samples written per iteration; -1 = all");
}

}  // namespace longshot::config
