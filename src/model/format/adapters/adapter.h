#pragma once
// Low-rank adapters (LoRA, Hu et al., 2106.09685) in the directory layout of the `peft` package: adapter_config.json and
// adapter_model.safetensors. A weight W [out, in] with an adapter is W + s B A. Torch-free.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/adapters/lora_options.h"
#include "model/format/config.h"
#include "model/format/model_files.h"
#include "model/format/safetensors.h"

namespace longshot::model {

// A [rank, in] and B [out, rank] beside one linear weight.
struct AdapterPair {
  std::string module;  // "model.layers.0.self_attn.q_proj"
  LoraOptions lora;
  std::vector<float> a, b;
  int out = 0, in = 0;
};

struct Adapter {
  LoraOptions lora;  // of the pairs that have no options of their own in adapter_config.json
  std::string base;  // the model it belongs to: a path, or whatever the adapter's author called it
  std::vector<AdapterPair> pairs;  // in the order of expected_weights()
  std::vector<float> score;        // [hidden] the head of a reward model; empty: the base's own
};

// Modules an adapter can stand beside: the linear layers of every block, in the order of expected_weights().
// `targets`: "all-linear", or last parts of names such as "q_proj", "down_proj". Error: a target the model does not have.
Result<std::vector<std::string>> adapter_modules(const ModelConfig& config,
                                                 const std::vector<std::string>& targets);

// A uniform in +-1/sqrt(in) as PEFT draws it, B zero: the model is unchanged. A function of the seed alone.
Adapter new_adapter(const ModelConfig& config, const LoraOptions& lora,
                    const std::vector<std::string>& modules, uint64_t seed);

// Whether `path` is a directory that holds an adapter.
bool is_adapter_directory(const std::string& path);
// What the adapter says it belongs to.
Result<std::string> adapter_base(const std::string& directory);

// Whether it has a score and so makes a reward model of its base: PEFT's task type SEQ_CLS.
Result<bool> adapter_has_score(const std::string& directory);

// An adapter that can be trained. Error: a setting that only a merged model honours or none does (the message names it), a
// tensor that is missing or does not fit the model or the settings, a score for a model without one.
Result<Adapter> read_adapter(const std::string& directory, const ModelConfig& config);
// The tensors of an adapter directory. Error: there are none, or only a pickle of PyTorch's.
Result<SafetensorsFile> open_adapter_tensors(const std::string& directory);
// Both files, f32, fsynced. PEFT's PeftModel.from_pretrained(model, directory) reads them; `model` is a sequence
// classifier with one label if the adapter has a score.
Status write_adapter(const std::string& directory, const Adapter& adapter);

// W += s B A of every adapted weight, and the adapter's score. LS_CHECKs that they fit; read_adapter() has seen to it.
void merge_adapter(const Adapter& adapter, std::vector<HostTensor>& weights);

// Reads and merges an adapter of any kind that peft's LORA has, but those that adapter_settings.h refuses: DoRA, ranks by
// module, whole modules, biases, token rows and the embeddings included. A language model becomes a reward model if the
// adapter has a score; an output head that the adapter parts from the embedding becomes a weight of its own.
Status apply_adapter(const std::string& directory, ModelFiles& files);
// What apply_adapter() makes of the configuration, without reading weights.
Status apply_adapter_config(const std::string& directory, ModelConfig& config);

}  // namespace longshot::model
