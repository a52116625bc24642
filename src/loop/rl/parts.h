#pragma once
// The parts of a training run, built once from its configuration.

#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "datasets/prompts.h"
#include "loop/gang/gang_trainer.h"
#include "loop/rl/phase_clock.h"
#include "loop/run_folder/trained_model.h"
#include "prompts/sampler.h"
#include "publish/publisher.h"
#include "replay/replay_buffer.h"
#include "reward/reward.h"
#include "rollout/engine.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"
#include "train/shard/gang.h"

namespace longshot::loop {

struct Parts {
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  tokenizer::ChatTemplate chat_template;
  std::unique_ptr<prompts::PromptSampler> prompts;
  std::vector<data::Prompt> val_prompts;
  int64_t total_iterations = 0;  // of the run, also where trainer.total_epochs counts
  std::unique_ptr<rollout::Generator> rollout;
  rollout::EngineOptions engine_options;
  std::unique_ptr<reward::RewardStage> rewards;
  std::unique_ptr<replay::ReplayBuffer> replay;
  std::unique_ptr<GangTrainer> trainer;
  std::unique_ptr<publish::Publisher> publisher;
};

// `config`: that of the current phase. `checkpoint`: directory to load the policy from; empty: the
// configuration's model. The parts have room for the phases that follow, whose prompts and rewards
// are tried. `config_text` is the full configuration, which the other processes of `gang` must have
// too.
Result<Parts> make_parts(config::TrainConfig config, const PhaseState& phase,
                         const std::string& checkpoint, const std::string& config_text,
                         std::shared_ptr<train::Gang> gang);

// Changes the parts to the settings of a phase that begins. `config` is the configuration from now
// on, `phase` the state in which the phase has begun. After an error the parts are as before.
Status begin_phase(const config::TrainConfig& config, const PhaseState& phase, Parts& parts);

}  // namespace longshot::loop
