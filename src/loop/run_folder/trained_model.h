#pragma once
// The policy of a run: loaded, what of it learns chosen, and written into a checkpoint. A policy with an adapter is
// written as the adapter alone, <directory>/adapter in the layout of the peft package, any other as a whole model,
// <directory>/huggingface.

#include <memory>
#include <string>

#include "config/config.h"
#include "model/weights.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::loop {

struct LoadedModel {
  model::Weights weights;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  tokenizer::ChatTemplate chat_template;
};

// Weights on `device` of whatever model::read_model() reads.
Result<LoadedModel> load_model(const std::string& path, const std::string& device);

// The model of the options, or that of `checkpoint` unless it is empty, with adapter and frozen weights. `seed`: of a
// new adapter.
Result<LoadedModel> load_policy(const config::ModelOptions& options, const std::string& device,
                                const std::string& checkpoint, int64_t seed);
// Adapter and frozen weights of a model that has just been made or loaded.
Status choose_what_learns(const config::ModelOptions& options, const std::string& checkpoint,
                          int64_t seed, model::Weights& weights);

// The same for a reward model, whose score learns too; of a language model one is made. `seed`: of a new head as well.
Result<LoadedModel> load_reward_model(const config::ModelOptions& options,
                                      const std::string& device, const std::string& checkpoint,
                                      int64_t seed);

// Returns the directory that holds the policy now.
Result<std::string> write_policy(const std::string& directory, const model::Weights& weights,
                                 int64_t version, const config::ModelOptions& options,
                                 const tokenizer::Tokenizer* tokenizer,
                                 const tokenizer::ChatTemplate* chat_template);

// Where write_policy() put it.
std::string policy_directory(const std::string& directory);

}  // namespace longshot::loop
