#pragma once
// What a training run is made of, built once from its configuration.

#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "datasets/prompts.h"
#include "loop/run_folder/trained_model.h"
#include "prompts/sampler.h"
#include "publish/publisher.h"
#include "replay/replay_buffer.h"
#include "reward/reward.h"
#include "rollout/engine.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"
#include "train/policy/policy_trainer.h"

namespace longshot::loop {

std::unique_ptr<rollout::Runner> make_runner(const std::string& engine, const std::string& device,
                                             const rollout::RunnerLimits& limits, int threads);

// Room for the longest prompt and response; an error if the model has fewer positions.
Result<rollout::RunnerLimits> runner_limits(const model::ModelConfig& config, int max_concurrent,
                                            int max_prompt_length, int max_response_length);

struct Parts {
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  tokenizer::ChatTemplate chat_template;
  std::unique_ptr<prompts::PromptSampler> prompts;
  std::vector<data::Prompt> val_prompts;
  std::unique_ptr<rollout::Generator> rollout;
  rollout::EngineOptions engine_options;
  std::unique_ptr<reward::RewardStage> rewards;
  std::unique_ptr<replay::ReplayBuffer> replay;
  std::unique_ptr<train::Trainer> trainer;
  std::unique_ptr<publish::Publisher> publisher;
};

// `checkpoint`: directory to take the policy from; empty: the configuration's model.
Result<Parts> make_parts(const config::TrainConfig& config, const std::string& checkpoint);

// Prompts of `files`, tokenized; too long ones are left out with a warning. No prompt left is an
// error.
Result<std::vector<data::Prompt>> load_prompts(const std::vector<std::string>& files,
                                               const datasets::ColumnMapping& columns,
                                               int max_prompt_length,
                                               const tokenizer::Tokenizer& tokenizer,
                                               const tokenizer::ChatTemplate& chat_template);

// Whether a run could be written below `directory`; invalid_argument that names the key if not.
Status check_output(const std::string& directory);

// For --dry-run: reads model and data and makes all parts as the real run would, and prints what it
// found to stderr. The overloads for other runs are in sft.h and rm.h.
Status check_inputs(const config::TrainConfig& config);

}  // namespace longshot::loop
