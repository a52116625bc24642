#pragma once
// The RL run: iterate, evaluate, save (run.cc; its iterate() is the whole algorithm on one page);
// the rounds of generation (run_rounds.cc), also of several iterations ahead (run_ahead.cc); start
// and resume (run_start.cc).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/os/folder_lock.h"
#include "base/progress_line.h"
#include "base/run_log/run_log.h"
#include "config/config.h"
#include "eval/evaluate.h"
#include "loop/rl/hand_over.h"
#include "loop/rl/parts.h"
#include "loop/rl/phase_clock.h"
#include "loop/rl/reward_step.h"
#include "loop/rl/rounds.h"
#include "loop/rl/rounds_ahead.h"
#include "loop/rl/run_state.h"
#include "loop/rl/warnings.h"
#include "loop/run_folder/best_checkpoint.h"
#include "loop/run_folder/checkpoint.h"
#include "loop/run_folder/resume.h"

namespace longshot::loop {

// File of a checkpoint with the content of the replay buffer (replay/replay_buffer.h).
inline constexpr char kReplayFile[] = "replay.records";
// Folder in the run folder with the log of trainer.val_only.
inline constexpr char kValOnlyFolder[] = "val_only";

class Run {
 public:
  // Validates the configuration, and resumes or starts the run. `config_text` is the full
  // configuration, saved with each checkpoint. invalid_argument if another process uses the run
  // folder; the folder is locked for the lifetime of the object. Errors of settings, data, model or
  // checkpoints leave the folder unchanged.
  // This process is the first one of `gang`; the others follow it (loop/gang/follow.h).
  static Result<std::unique_ptr<Run>> create(const config::TrainConfig& config,
                                             const std::string& config_text,
                                             std::shared_ptr<train::Gang> gang = train::alone());

  // Runs until total_iterations. If Ctrl-C (`cancelled`), an error or an exception ends it earlier,
  // the finished iterations are saved first, unless an update is half done; the message says which
  // are saved. The resumed run repeats an interrupted evaluation.
  // With trainer.val_only it evaluates the starting point and changes nothing but the log of such
  // evaluations; invalid_argument if no response could be judged.
  Status run();

  const RunState& state() const { return state_; }
  // One line: model, data, algorithm, sizes and folder.
  std::string description() const;
  // The best saved evaluation by loop/run_folder/best_checkpoint.h; nullopt without
  // trainer.keep_best.
  std::optional<Evaluated> best() const;
  std::string newest_checkpoint() const { return checkpoints_.directory_of(saved_iteration_); }

 private:
  Run(config::TrainConfig config, std::string config_text, std::shared_ptr<train::Gang> gang);
  Status start();
  Status enter_phase(const std::string& checkpoint);
  Status restore(const Checkpoint& checkpoint);
  Status enter_folder(const StartingPoint& from);
  Status enter_val_only_folder();

  Status run_iterations();
  Status evaluate_start(Metrics& metrics);
  Status evaluate_only();
  Status next_iteration();
  // Keys of the run's independent random streams.
  enum class Stream : uint64_t { prompts = 1, replay = 2, trainer = 3, validation = 4 };
  uint64_t key(Stream stream, int64_t iteration = 0) const;

  // run_rounds.cc
  int room(const Rounds& rounds) const;
  Result<std::vector<data::Sample>> open_groups(int64_t iteration, const Rounds& rounds,
                                                int reserved = 0);
  void add_trained_groups(int64_t iteration, Rounds& rounds);
  Result<std::vector<data::Sample>> samples_of(int64_t iteration, Rounds& rounds);
  rollout::EngineOptions rollout_options();
  Status begin_ahead(int64_t iteration);
  Result<std::optional<AheadSamples>> end_ahead();
  Status close_groups(int64_t iteration, Rounds& rounds);
  Status take_in(std::vector<data::Sample> samples, Rounds& rounds, Timer& timer);

  // run_ahead.cc
  Status set_up_rounds_ahead(bool resumed);
  Result<bool> begin_round(int64_t iteration, const Rounds& rounds);
  Status fill_from_rounds_ahead(int64_t iteration, Rounds& rounds, Timer& timer);
  Status take_in_oldest(int64_t iteration, Rounds& rounds, Timer& timer);
  void leave_out(std::vector<data::Sample>& samples, Rounds& rounds);

  Status iterate();
  void add_counts(Metrics& metrics);
  Status publish();
  Status finish_iteration();
  Status begin_due_phase();
  Status test(Metrics& metrics);
  Status check_judged(const eval::EvalResult& result) const;
  void capture_state(int64_t iteration, int64_t policy_version, Metrics unfinished,
                     std::optional<AheadSamples> ahead);
  Status save();
  Status end_early(const Status& reason);
  std::string advice_for_broken_weights() const;
  void warn_of_long_warmup() const;
  void log_metrics(const Metrics& metrics);
  void log_samples(const std::vector<data::Group>& groups);
  bool due(int64_t every) const;
  bool is_candidate(const Metrics& metrics);
  void mark_best();
  void warn_of_missing_metric(const Metrics& metrics);

  const std::shared_ptr<train::Gang> gang_;
  config::TrainConfig base_;    // before the first phase
  config::TrainConfig config_;  // of the current phase
  std::string config_text_;
  CheckpointStore checkpoints_;
  std::optional<FolderLock> lock_;
  bool folder_written_ = false;
  Json inputs_;  // fingerprints()
  Parts parts_;
  AheadRollout ahead_;                         // uses parts_
  std::unique_ptr<RoundsAhead> rounds_ahead_;  // uses parts_; null with cluster.staleness <= 1
  HandOver hand_over_;                         // uses parts_
  RunState state_;
  int64_t updates_ = 0;  // optimizer steps when state_ was captured
  std::unique_ptr<RunLog> log_;
  ProgressLine progress_;
  Warnings warnings_;
  Metrics reported_;  // by this process: each metric with its first value
  bool missing_metric_told_ = false;
  RewardWatch reward_watch_;
  SaveRetry save_retry_;
  int64_t saved_iteration_ = -1;
};

}  // namespace longshot::loop
