#pragma once
// Low-rank adapters (LoRA, Hu et al., 2106.09685) in the directory layout of the `peft` package:
// adapter_config.json and adapter_model.safetensors. A weight W [out, in] with an adapter becomes
// W + s B A. Torch-free.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/adapters/lora_options.h"
#include "model/format/config.h"
#include "model/format/model_files.h"
#include "model/format/safetensors.h"

namespace longshot::model {

// A [rank, in] and B [out, rank], the adapter of one linear weight.
struct AdapterPair {
  std::string module;  // "model.layers.0.self_attn.q_proj"
  LoraOptions lora;
  std::vector<float> a, b;
  int out = 0, in = 0;
};

struct Adapter {
  LoraOptions lora;  // options of the pairs that have none of their own in adapter_config.json
  std::string base;  // the model it belongs to: a path, or any name that the adapter's author chose
  std::vector<AdapterPair> pairs;  // in the order of expected_weights()
  std::vector<float> score;  // [hidden] the head of a reward model; empty: the base model's own
};

// The modules that can have an adapter: the linear layers of every block, in the order of
// expected_weights(). `targets` is "all-linear", or last parts of names such as "q_proj",
// "down_proj". Error: a target that the model does not have.
Result<std::vector<std::string>> adapter_modules(const ModelConfig& config,
                                                 const std::vector<std::string>& targets);

// A is uniform in +-1/sqrt(in), as PEFT draws it, and B is zero, so the model is unchanged. A
// function of the seed only.
Adapter new_adapter(const ModelConfig& config, const LoraOptions& lora,
                    const std::vector<std::string>& modules, uint64_t seed);

// True if `path` is a directory that contains an adapter.
bool is_adapter_directory(const std::string& path);
// The base model that the adapter names.
Result<std::string> adapter_base(const std::string& directory);

// What an adapter is read for, when it is not merged into its base.
enum class AdapterUse {
  train,  // continue its training
  serve,  // compute with it beside its base
};

// Reads an adapter that stays beside its base. Errors: a setting that is supported only for merging
// (or for merging and serving), or not at all (the message names it); a tensor that is missing or
// does not fit the model or the settings; a score for a model without one.
Result<Adapter> read_adapter(const std::string& directory, const ModelConfig& config,
                             AdapterUse use = AdapterUse::train);
// The tensors of an adapter directory. Error: there are none, or only a PyTorch pickle.
Result<SafetensorsFile> open_adapter_tensors(const std::string& directory);
// Writes both files, in f32 and fsynced. PEFT's PeftModel.from_pretrained(model, directory) reads
// them; `model` is a sequence classifier with one label if the adapter has a score.
Status write_adapter(const std::string& directory, const Adapter& adapter);

// W += s B A for every adapted weight; also replaces the score by the adapter's, if it has one.
// LS_CHECKs that they fit, which read_adapter() ensures.
void merge_adapter(const Adapter& adapter, std::vector<HostTensor>& weights);

// Reads and merges any adapter of peft's type LORA, except those that adapter_settings.h refuses.
// DoRA, ranks by module, whole modules, biases, token rows and the embeddings are supported. A
// language model becomes a reward model if the adapter has a score. If the adapter changes only one
// of two tied matrices, the output head becomes a weight of its own.
Status apply_adapter(const std::string& directory, ModelFiles& files);
// Changes the configuration as apply_adapter() would, without merging weights.
Status apply_adapter_config(const std::string& directory, ModelConfig& config);

}  // namespace longshot::model
