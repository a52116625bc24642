#pragma once
// A model on disk, Hugging Face directory or GGUF file, read into plain host arrays and written
// back.

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

// Everything a checkpoint holds. Weights are in the order of expected_weights(config), converted to
// f32.
struct ModelFiles {
  ModelConfig config;
  std::vector<HostTensor> weights;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;  // null if the directory has none
  tokenizer::ChatTemplate chat_template;
};

// `path`: what find_model() (format/model_path.h) finds: a Hugging Face directory (config.json + safetensors, single or sharded), a .gguf file, or a directory of
// the peft package (format/adapter.h): then its base model, which has to be on this machine, with the adapter merged.
// Missing, extra or mis-shaped tensors, truncated or hostile files are errors that name the tensor
// and the file.
// A reward model is an error: it has no head that speaks.
Result<ModelFiles> read_model(const std::string& path);
// The same for a model whose head is a score; any other is an error.
Result<ModelFiles> read_reward_model(const std::string& path);
Result<ModelFiles> read_any_model(const std::string& path);
// Of what read_any_model() reads. The padding token that an adapter's head has found in the tokenizer is not in it.
Result<ModelConfig> read_model_config(const std::string& path);

// Makes a reward model of a language model: a score takes the place of the vocabulary's head, with small normal values, a
// function of the seed alone. A configuration without a padding token gets the tokenizer's, if it is one of the usual
// names: transformers needs it to score several texts at once.
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

}  // namespace longshot::model
