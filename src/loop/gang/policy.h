#pragma once
// The policy's trainer as the configuration of a run describes it. All processes of a gang make it
// in the same way.

#include <memory>

#include "config/config.h"
#include "loop/rl/phase_clock.h"
#include "model/weights.h"
#include "train/policy/policy_trainer.h"
#include "train/shard/lanes.h"

namespace longshot::loop {

// `config` is that of the phase. Errors: those of the model of algorithm.kl_reference;
// invalid_argument if the processes cannot share trainer.lanes.
Result<std::unique_ptr<train::PolicyTrainer>> make_trainer(const config::TrainConfig& config,
                                                           const PhaseState& phase,
                                                           model::Weights weights,
                                                           std::shared_ptr<train::Gang> gang);

// Changes the trainer to the settings of a phase that begins.
void begin_phase(const config::TrainConfig& config, const PhaseState& phase,
                 train::PolicyTrainer& trainer);

}  // namespace longshot::loop
