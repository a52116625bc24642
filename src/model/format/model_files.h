#pragma once
// A model on disk, as a Hugging Face directory or a GGUF file: read into plain host arrays and
// written back.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/config.h"
#include "model/format/weights_view.h"
#include "tokenizer/chat/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace longshot::model {

// An owned f32 array.
struct HostTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> data;
};

// The contents of a checkpoint. Weights are in the order of expected_weights(config), converted to
// f32.
struct ModelFiles {
  ModelConfig config;
  std::vector<HostTensor> weights;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;  // null if the directory has none
  tokenizer::ChatTemplate chat_template;
};

// Reads a language model. `path` is anything that find_model() (format/model_path.h) finds: a
// Hugging Face directory (config.json + safetensors, single or sharded), a .gguf file, or a
// directory of the peft package (format/adapters/adapter.h). The last gives its base model,
// which must be on this machine, with the adapter merged.
// Errors name the tensor and the file: missing, extra or mis-shaped tensors, truncated or hostile
// files. A reward model is an error, because it cannot generate text.
Result<ModelFiles> read_model(const std::string& path);
// The same for a model with a score as its head; any other model is an error.
Result<ModelFiles> read_reward_model(const std::string& path);
Result<ModelFiles> read_any_model(const std::string& path);
// Everything of a Hugging Face directory except its weights, which are empty.
Result<ModelFiles> read_hf_description(const std::string& directory);
// The configuration of what read_any_model() would read. A padding token that add_score_head()
// would take from the tokenizer is missing.
Result<ModelConfig> read_model_config(const std::string& path);

// Turns a language model into a reward model: the vocabulary's head is replaced by a score with
// small normal values, a function of the seed only. A configuration without a padding token gets
// the tokenizer's, if that has one of the usual names: transformers needs it to score several texts
// at once.
void add_score_head(ModelFiles& files, uint64_t seed);

// Writes a Hugging Face directory: config.json, generation_config.json, model.safetensors (sharded
// with an index above `max_shard_bytes`), tokenizer files if `tokenizer` is given, chat template if
// it has a source. dtype: "float32", "bfloat16", "float16" (round to nearest even). Every file is
// fsynced; the caller makes the directory appear atomically if it needs that.
Status write_model(const std::string& directory, const WeightsView& weights,
                   const tokenizer::Tokenizer* tokenizer,
                   const tokenizer::ChatTemplate* chat_template,
                   const std::string& dtype = "float32",
                   int64_t max_shard_bytes = int64_t{5} << 30);
// The files of such a directory except the weights. The dtype is that of the configuration.
Status write_model_description(const std::string& directory, const ModelConfig& config,
                               const tokenizer::Tokenizer* tokenizer,
                               const tokenizer::ChatTemplate* chat_template);

}  // namespace longshot::model
