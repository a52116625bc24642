#pragma once
// The trainer of a run as its process 0 has it. The other processes of the gang repeat each call
// (loop/gang/follow.h); alone, the calls are those of the policy's trainer.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "loop/rl/phase_clock.h"
#include "train/policy/policy_trainer.h"

namespace longshot::loop {

// One thread at a time. After an error of the gang (unavailable) all later calls fail. The loss of
// another process between two calls is noticed within seconds, and requests a stop of this one.
class GangTrainer {
 public:
  // Tells the others to make the same trainer: from the model of `checkpoint`, or of the
  // configuration if it is empty, for a run of `iterations`. Errors: another process could not, or
  // has another model or another configuration, which `config_text` is.
  static Result<std::unique_ptr<GangTrainer>> begin(std::unique_ptr<train::PolicyTrainer> trainer,
                                                    std::shared_ptr<train::Gang> gang,
                                                    const std::string& config_text,
                                                    const std::string& checkpoint,
                                                    const PhaseState& phase, int64_t iterations);
  // Tells the others that the run has ended.
  ~GangTrainer();

  // As PolicyTrainer::fit().
  Result<Metrics> fit(const std::vector<data::Group>& groups, const train::UpdateKey& key);
  // As TrainableModel's. Each process writes and reads its own file of the directory, which must be
  // on a file system that all of them share.
  Status save_state(const std::string& directory);
  Status load_state(const std::string& directory);
  // `config` is that of the phase that has begun.
  Status begin_phase(const config::TrainConfig& config, const PhaseState& phase);

  // This process's. Its state is saved and loaded by the functions above only.
  train::TrainableModel& model() { return trainer_->model(); }
  const train::TrainableModel& model() const { return trainer_->model(); }

 private:
  GangTrainer(std::unique_ptr<train::PolicyTrainer> trainer, std::shared_ptr<train::Gang> gang);
  bool alone() const { return gang_->size() == 1; }
  Status tell_others(const Json& call);
  void keep_awake(const std::stop_token& stop);

  std::unique_ptr<train::PolicyTrainer> trainer_;
  std::shared_ptr<train::Gang> gang_;
  std::mutex mutex_;  // held during each call, because the gang takes one at a time
  std::condition_variable_any wake_;
  std::jthread awake_;  // last: it uses the members above
};

// XXH3-64 of the names and values of all weights, which tells whether two processes have the same.
uint64_t checksum_of(const model::Weights& weights);

}  // namespace longshot::loop
