#pragma once
// Offline training (supervised fine-tuning, reward models, preference optimization): optimizer
// steps over the rows of a data set. Covers resuming, the log, held-out metrics, checkpoints and
// the final model.

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/metrics.h"
#include "base/status.h"
#include "config/config.h"

namespace longshot::loop {

// The settings of a run: of its beginning and of each [[phase]] that follows.
struct OfflinePhases {
  std::vector<config::OfflineConfig> configs;  // at least one
  std::vector<config::Phase> phases;           // one fewer: the tables
};

// The part of an offline run that depends on the task: a model, its rows, and a step on the next of
// them. Called on one thread; load(), open_rows() and start() come first, then seek() and
// load_state() to continue.
class Learner {
 public:
  virtual ~Learner() = default;

  // Loads the model and the held-out rows. `checkpoint`: directory to load the model from; empty:
  // the configuration's model.
  virtual Status load(const std::string& checkpoint) = 0;
  // Opens the training rows of a phase, in place of those before.
  virtual Status open_rows(const config::OfflineConfig& config, size_t phase) = 0;
  // The number and size of the rows, for a person. Before start().
  virtual Result<std::string> describe() = 0;
  // The sequences of the first row for a person; with `show_tokens` token by token too. Empty if
  // there is no row.
  virtual Result<std::vector<std::string>> first_row(bool show_tokens) = 0;
  // Optimizer steps of trainer.total_epochs; 0 if they end where finished() says so.
  virtual int64_t steps() const = 0;
  virtual bool finished() = 0;
  // total_steps: of the learning rate's schedule; 0 if it is not known.
  virtual void start(int64_t total_steps) = 0;
  // For a phase after the first: AdamW::begin_schedule().
  virtual void begin_schedule(const train::OptimizerOptions& options, int64_t first_step,
                              int64_t total_steps) = 0;
  virtual Status load_state(const std::string& directory) = 0;  // of the optimizer
  // Computes what the steps need beyond model and rows, before the first step and after
  // load_state(). It may write files into the run folder, for the next start to find. `continued`:
  // the run continues from a checkpoint. Returns `cancelled` on Ctrl-C.
  virtual Status prepare(const std::string& run_folder, bool continued) = 0;
  // What --dry-run prints about the cost of the run, after start(); each is a line.
  virtual Result<std::vector<std::string>> plan() = 0;
  // Takes one step on the next rows. Metrics include train/loss, train/lr and train/tokens;
  // train/accuracy is shown if it is present.
  virtual Result<Metrics> step() = 0;
  // The place in the rows after the last step, for a checkpoint. `where` names it in errors.
  virtual Json position() const = 0;
  virtual Status seek(const Json& position, const std::string& where) = 0;
  // The number of optimizer steps, which tells whether the weights may have changed.
  virtual int64_t updates() const = 0;
  virtual Metrics validate() = 0;  // val/loss and perhaps val/accuracy; empty without held-out rows
  virtual Status save_state(const std::string& directory) const = 0;
  // Writes the model below `directory` and returns its path.
  virtual Result<std::string> write_model(const std::string& directory, int64_t step) = 0;
};

// Loads model and rows and creates the trainer, as a run does before its first step, and logs a
// description of each. `show_tokens` is passed to Learner::first_row().
Status check_learner(Learner& learner, const OfflinePhases& run, bool show_tokens);

struct StepResult {
  int64_t steps = 0;
  double train_loss = 0, val_loss = 0;  // of the last step; val_loss 0 without data.val_files
  int64_t tokens = 0;
  double seconds = 0;
  std::string model_directory;
};

// Writes metrics.jsonl and, at the end, the model to <output>/huggingface (with an adapter: the
// adapter to <output>/adapter). On Ctrl-C (status cancelled) or an error the finished steps are
// saved in <output>/global_step_N, unless an update was half done. An unfinished run resumes from
// its newest checkpoint automatically, by the rules of loop/run_folder/resume.h; its weights are
// bit for bit those of an uninterrupted run. A finished run is not repeated: the same configuration
// returns its result, any other is an error. `command` is sft, rm or dpo; a folder belongs to
// one of them.
Result<StepResult> run_steps(Learner& learner, const OfflinePhases& run,
                             const std::string& config_text, const std::string& command);

}  // namespace longshot::loop
