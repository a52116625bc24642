#pragma once
// Loads the policy (or reward model) of a run, selects its trainable weights, and writes it to
// checkpoints. With an adapter only the adapter is written, to <directory>/adapter in the layout of
// the peft package; otherwise the whole model is written to <directory>/huggingface.

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

// Loads a model in any form that model::read_model() supports, with its weights on `device`.
Result<LoadedModel> load_model(const std::string& path, const std::string& device);

// Loads the model of `options`, or that of `checkpoint` if it is not empty, with its adapter and
// frozen weights. `seed` initializes a new adapter.
Result<LoadedModel> load_policy(const config::ModelOptions& options, const std::string& device,
                                const std::string& checkpoint, int64_t seed);
// Adds the adapter to, and freezes weights of, a model that has just been created or loaded.
// invalid_argument if a weight is not finite.
Status choose_what_learns(const config::ModelOptions& options, const std::string& checkpoint,
                          int64_t seed, model::Weights& weights);

// The same as load_policy() for a reward model. A language model is turned into a reward model with
// a new score head. `seed` also initializes a new head.
Result<LoadedModel> load_reward_model(const config::ModelOptions& options,
                                      const std::string& device, const std::string& checkpoint,
                                      int64_t seed);

// Writes the policy below `directory` and returns the directory that contains it.
Result<std::string> write_policy(const std::string& directory, const model::Weights& weights,
                                 int64_t version, const config::ModelOptions& options,
                                 const tokenizer::Tokenizer* tokenizer,
                                 const tokenizer::ChatTemplate* chat_template);

// Returns the directory in which write_policy() placed the policy.
std::string policy_directory(const std::string& directory);

}  // namespace longshot::loop
