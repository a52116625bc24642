#pragma once
// Offline training (supervised fine-tuning and reward models): optimizer steps over a fixed set of
// rows. Covers the order of the rows, resuming, the log, held-out metrics, checkpoints and the
// final model.

#include <cstdint>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "config/config.h"

namespace longshot::loop {

// The part of an offline run that depends on the task: a model, its rows, and a step on some of
// them. Called on one thread; load(), start() and load_state() come first, in this order.
class Learner {
 public:
  virtual ~Learner() = default;

  // Loads model and rows. `checkpoint`: directory to load the model from; empty: the
  // configuration's model.
  virtual Status load(const std::string& checkpoint) = 0;
  virtual std::vector<int64_t> lengths() const = 0;  // tokens of each training row
  virtual void start(int64_t total_steps) = 0;
  virtual Status load_state(const std::string& directory) = 0;  // of the optimizer
  // Takes one step on rows (indices of training rows). Metrics include train/loss, train/lr and
  // train/tokens; train/accuracy is shown if it is present.
  virtual Result<Metrics> step(const std::vector<size_t>& rows) = 0;
  // The number of optimizer steps, which tells whether the weights may have changed.
  virtual int64_t updates() const = 0;
  virtual Metrics validate() = 0;  // val/loss and perhaps val/accuracy; empty without held-out rows
  virtual Status save_state(const std::string& directory) const = 0;
  // Writes the model below `directory` and returns its path.
  virtual Result<std::string> write_model(const std::string& directory, int64_t step) = 0;
};

// Checks the rows read from `files`: warns if `dropped` rows were longer than `length` tokens, and
// returns an error if no row is left.
Status check_rows(const std::vector<std::string>& files, size_t rows, int dropped, int length);

// Loads model and rows and creates the trainer, as a run does before its first step.
Status check_learner(Learner& learner, const config::OfflineConfig& config);

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
// returns its result, any other is an error. `command` is sft or rm; a folder belongs to one of
// them.
Result<StepResult> run_steps(Learner& learner, const config::OfflineConfig& config,
                             const std::string& config_text, const std::string& command);

}  // namespace longshot::loop
