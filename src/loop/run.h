#pragma once
// The RL run: iterate, evaluate, save, resume. run.cc's iterate() is the whole algorithm on one
// page.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/folder_lock.h"
#include "base/run_log.h"
#include "loop/checkpoint.h"
#include "loop/config.h"
#include "loop/iteration_metrics.h"
#include "loop/parts.h"
#include "loop/progress.h"
#include "loop/warnings.h"

namespace longshot::loop {

// Everything a resumed run needs beyond weights and optimizer moments. Captured at iteration
// borders.
struct RunState {
  int64_t iteration = 0;
  int64_t policy_version = 0;
  int64_t total_tokens = 0;  // generated since the run began
  prompts::PromptSampler::Snapshot prompts;
  replay::Position replay;
  // Metrics of the finished iteration whose evaluation was interrupted; empty otherwise.
  Metrics unfinished;
};

class Run {
 public:
  // Validates, resumes or starts. `config_text`: the full configuration, kept with each checkpoint. invalid_argument if
  // another process is at work in the run folder, which nobody else can use as long as the object lives.
  static Result<std::unique_ptr<Run>> create(const TrainConfig& config,
                                             const std::string& config_text);

  // Until total_iterations, or until Ctrl-C: then the last finished iteration is saved and the
  // status is `cancelled`. An evaluation cut short is done again by the run that resumes.
  Status run();

  const RunState& state() const { return state_; }
  // One line: model, data, algorithm, sizes and folder.
  std::string description() const;
  std::string newest_checkpoint() const { return checkpoints_.directory_of(saved_iteration_); }

 private:
  Run(TrainConfig config, std::string config_text);
  Status resume_or_start();
  Result<bool> resume_from(const std::string& directory);
  Status build(const std::string& checkpoint);

  Status open_log(int64_t last_step);

  Status next_iteration();
  Status iterate(Metrics& metrics);
  Status test(Metrics& metrics);
  Status save();
  Status capture_state();
  Status finish_iteration();
  Status log_samples(const std::vector<data::Group>& groups);
  bool due(int64_t every) const;

  TrainConfig config_;
  std::string config_text_;
  CheckpointStore checkpoints_;
  std::optional<FolderLock> lock_;
  Parts parts_;
  RunState state_;
  std::unique_ptr<RunLog> log_;
  ProgressLine progress_;
  Warnings warnings_;
  RewardWatch reward_watch_;
  int64_t saved_iteration_ = -1;
};

}  // namespace longshot::loop
