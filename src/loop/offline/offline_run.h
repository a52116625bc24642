#pragma once
// A run of optimizer steps over rows that are all there from the beginning, as supervised fine-tuning and reward models
// have it: order of the rows, resume, log, held-out figures, checkpoints, the final model.

#include <cstdint>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "config/config.h"

namespace longshot::loop {

// What is learned: a model, its rows and a step on some of them. Called on one thread, in the order of this list.
class Learner {
 public:
  virtual ~Learner() = default;

  // Model and rows. `checkpoint`: directory to take the model from; empty: the configuration's.
  virtual Status load(const std::string& checkpoint) = 0;
  virtual std::vector<int64_t> lengths() const = 0;  // tokens of each training row
  virtual void start(int64_t total_steps) = 0;
  virtual Status load_state(const std::string& directory) = 0;  // of the optimizer
  // Among its metrics are train/loss, train/lr and train/tokens; train/accuracy is shown if it is there.
  virtual Result<Metrics> step(const std::vector<size_t>& rows) = 0;
  // Counts changes of the weights.
  virtual int64_t updates() const = 0;
  virtual Metrics validate() = 0;  // val/loss and perhaps val/accuracy; empty without held-out rows
  virtual Status save_state(const std::string& directory) const = 0;
  // Puts the model below `directory` and returns where.
  virtual Result<std::string> write_model(const std::string& directory, int64_t step) = 0;
};

// After the rows of `files` are read: a warning if some were longer than `length` tokens, an error if none is left.
Status check_rows(const std::vector<std::string>& files, size_t rows, int dropped, int length);

// Loads model and rows and makes the trainer, as a run does before its first step.
Status check_learner(Learner& learner, const config::SftConfig& config);

struct StepResult {
  int64_t steps = 0;
  double train_loss = 0, val_loss = 0;  // of the last step; val_loss 0 without data.val_files
  int64_t tokens = 0;
  double seconds = 0;
  std::string model_directory;
};

// Writes metrics.jsonl and, at the end, the model to <output>/huggingface (with an adapter: the
// adapter to <output>/adapter). On Ctrl-C (status cancelled) or an error the finished steps go to
// <output>/global_step_N; an unfinished run resumes from there by itself, by the rules of
// loop/run_folder/resume.h, and its weights are those of the run that was never interrupted, bit for bit. A
// finished run is not begun again: the same configuration gives its result, any other is an error.
// `command`: sft or rm; a folder is for one of them.
Result<StepResult> run_steps(Learner& learner, const config::SftConfig& config,
                             const std::string& config_text, const std::string& command);

}  // namespace longshot::loop
