#include "config/sections/offline.h"

#include "base/settings/checks.h"
#include "config/sections/compute.h"
#include "config/sections/optim.h"

namespace longshot::config {
namespace {

void bind_trainer(Settings& s, OfflineTrainer& t, const OfflineHelp& help) {
  s.add("trainer.total_steps", &t.total_steps, "optimizer steps; 0 = by total_epochs",
        at_least(int64_t{0}));
  s.add("trainer.total_epochs", &t.epochs, "passes over the data when total_steps is 0", above(0));
  s.add("trainer.save_freq", &t.save_freq,
        "steps between checkpoints, which a finished run needs no longer; 0 = only when the run is "
        "stopped",
        at_least(int64_t{0}));
  s.add("trainer.keep_checkpoints", &t.keep_checkpoints, "newest checkpoints kept", at_least(1));
  s.add("trainer.test_freq", &t.test_freq, "steps between held-out losses; 0 = never",
        at_least(int64_t{0}));
  s.add("trainer.default_local_dir", &t.output, help.output);
  s.add("trainer.seed", &t.seed, "of initial weights and row order");
}

}  // namespace

void bind_sources(Settings& s, OfflineConfig& c, const OfflineHelp& help) {
  bind(s, c.model, help.model_path);
  if (help.new_model) bind_new_model(s, c.model);
  s.add("data.train_files", &c.data.train_files, help.train_files);
  s.add("data.val_files", &c.data.val_files, help.val_files);
}

void bind_rows(Settings& s, OfflineConfig& c) {
  s.add("data.max_length", &c.data.max_length, "tokens; longer rows are left out and counted",
        at_least(2));
  s.add("data.streaming", &c.data.streaming,
        "read the training rows during the run, for data larger than memory; docs/formats.md");
  s.add("data.shuffle_buffer", &c.data.shuffle_buffer,
        "with data.streaming: rows in memory, which are shuffled together", at_least(1));
}

void bind_steps(Settings& s, OfflineConfig& c, const std::string& section,
                const OfflineHelp& help) {
  s.add(section + ".batch_tokens", &c.batch.batch_tokens, "packed tokens per optimizer step",
        at_least(1));
  s.add(section + ".micro_batch_tokens", &c.batch.micro_batch_tokens,
        "packed tokens per forward pass; 0 = what is fastest", at_least(0));
  bind(s, c.optimizer);
  bind_trainer(s, c.trainer, help);
  bind(s, c.batch.compute);
  bind_machine(s, c.machine.device, c.machine.threads);
}

}  // namespace longshot::config
