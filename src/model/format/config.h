#pragma once
// Architecture of a Llama-family model, as config.json describes it. Torch-free.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "model/format/rope.h"

namespace longshot::model {

struct ModelConfig {
  std::string model_type = "llama";  // "llama", "mistral", "qwen2", "qwen3"
  int vocab_size = 0;
  int hidden_size = 0;
  int intermediate_size = 0;
  int num_layers = 0;
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  int max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  std::optional<RopeScaling> rope_scaling;
  // In the layers marked in sliding_layers, [num_layers] (empty: in none), a token sees itself and
  // the sliding_window - 1 tokens before it.
  int sliding_window = 0;
  std::vector<bool> sliding_layers;
  bool tie_word_embeddings = false;
  // The head is "score.weight" [1, hidden] instead of the vocabulary's: a reward model,
  // transformers' ...ForSequenceClassification with one label.
  bool score_head = false;
  bool qkv_bias = false;            // Qwen2; Llama with attention_bias
  bool attention_out_bias = false;  // Llama with attention_bias
  bool mlp_bias = false;
  bool qk_norm = false;  // Qwen3: RMSNorm over head_dim on q and k before RoPE
  std::optional<int> bos_token_id;
  std::vector<int> eos_token_ids;
  std::optional<int> pad_token_id;
  std::string dtype = "float32";  // type of the stored weights: float32, bfloat16, float16

  // The number of tokens that a token of the layer sees, itself included; 0: all before it.
  int window_of(int layer) const {
    return sliding_layers.empty() || !sliding_layers[layer] ? 0 : sliding_window;
  }
};

// Reads the spellings of transformers 4 and 5. Unsupported architectures, activations and rope
// types are errors.
Result<ModelConfig> config_from_json(const Json& json, const std::string& where);
// Error: sizes out of range, or biases, norms or windows that a model of this type cannot have.
// config_from_json() has checked this; a configuration made by hand must be checked before it is
// written.
Status check_config(const ModelConfig& config, const std::string& where);
// Applies the generation_config.json next to the config. If it has bos and eos ids, they replace
// those of config.json, as in transformers' generate().
Status apply_generation_config(const Json& json, const std::string& where, ModelConfig& config);
Json generation_config_to_json(const ModelConfig& config);
// A config.json that transformers 4 and 5 both read. Its `dtype` is that of the weights written
// with it.
Json config_to_json(const ModelConfig& config);

// Name and shape of every weight of the architecture, by Hugging Face names and in a fixed order.
// lm_head.weight is absent if the embedding is tied or the head is a score.
struct WeightSpec {
  std::string name;
  std::vector<int64_t> shape;
};
std::vector<WeightSpec> expected_weights(const ModelConfig& config);
int64_t parameter_count(const ModelConfig& config);

}  // namespace longshot::model
