#pragma once
// Architecture of a decoder-only model, as config.json describes it. Torch-free.

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "model/format/rope.h"

namespace longshot::model {

// Where a layer normalizes, and what Hugging Face calls the norms.
enum class Norms {
  llama,  // before attention and before the MLP
  olmo2,  // after both, before the result is added to the stream
  glm4,   // before and after both
  gemma,  // the same under other names
};
enum class QkNorm { none, heads, width };  // over each query and key head, or over all of them
enum class Activation { silu, gelu_tanh };
// What Hugging Face calls a layer's router and experts.
enum class ExpertNames {
  qwen,     // mlp.gate, mlp.experts.3.gate_proj
  mixtral,  // block_sparse_moe.gate, block_sparse_moe.experts.3.w1
};

// What distinguishes a model type from Llama, apart from numbers. The table is model_types.cc. Code
// that computes reads these facts and never the name of the type.
struct ArchitectureFacts {
  Norms norms = Norms::llama;
  bool norm_plus_one = false;  // norms multiply by 1 + weight
  QkNorm qk_norm = QkNorm::none;
  Activation activation = Activation::silu;
  bool rope_pairs = false;  // element 2 i of a head rotates with 2 i + 1, not with i + half
  bool fused_qkv = false, fused_gate_up = false;  // one matrix: q, k, v or gate, up
  ExpertNames expert_names = ExpertNames::qwen;

  bool norm_before() const { return norms != Norms::olmo2; }
  bool norm_after() const { return norms != Norms::llama; }
  bool operator==(const ArchitectureFacts&) const = default;
};

// A mixture of experts in place of a layer's MLP (Shazeer et al., 1701.06538): a router, softmax(W
// x) over the experts, chooses the `per_token` most probable ones; the result is the sum of theirs,
// weighted by these probabilities.
struct Experts {
  int count = 0;                   // of a layer; 0: no layer has experts
  int per_token = 0;               // that a token passes through
  int width = 0;                   // intermediate_size of an expert
  bool normalized = true;          // the weights of a token's experts are divided by their sum
  std::vector<bool> dense_layers;  // [num_layers] true: the layer has an MLP; empty: none

  bool operator==(const Experts&) const = default;
};

struct ModelConfig {
  std::string model_type = "llama";  // a name of model_types.cc
  ArchitectureFacts facts;           // of the model type
  int vocab_size = 0;
  int hidden_size = 0;
  int intermediate_size = 0;  // of an MLP; that of experts is experts.width
  int num_layers = 0;
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  int max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000.0;
  std::optional<RopeScaling> rope_scaling;
  double partial_rotary_factor = 1;  // of each head, the first part rotates
  double local_rope_theta = 0;       // of layers with a window, without scaling; 0: rope_theta
  std::vector<bool> no_rope_layers;  // [num_layers] true: the layer rotates nothing; empty: none
  double embedding_multiplier = 1, residual_multiplier = 1;  // of embeddings, of a layer's results
  double attention_multiplier = 0;                           // of the scores; 0: 1 / sqrt(head_dim)
  double logits_scaling = 1;                                 // divides the logits
  // Scores and logits become cap * tanh(x / cap); 0: no cap.
  double attention_softcap = 0, logit_softcap = 0;
  // In the layers marked in sliding_layers, [num_layers] (empty: in none), a token sees itself and
  // the sliding_window - 1 tokens before it.
  int sliding_window = 0;
  std::vector<bool> sliding_layers;
  Experts experts;
  bool tie_word_embeddings = false;
  // The head is "score.weight" [1, hidden] instead of the vocabulary's: a reward model,
  // transformers' ...ForSequenceClassification with one label.
  bool score_head = false;
  bool qkv_bias = false;            // Qwen2; Llama with attention_bias
  bool attention_out_bias = false;  // Llama with attention_bias
  bool mlp_bias = false;
  std::optional<int> bos_token_id;
  std::vector<int> eos_token_ids;
  std::optional<int> pad_token_id;
  std::string dtype = "float32";  // type of the stored weights: float32, bfloat16, float16

  // The number of tokens that a token of the layer sees, itself included; 0: all before it.
  int window_of(int layer) const {
    return sliding_layers.empty() || !sliding_layers[layer] ? 0 : sliding_window;
  }
  int rotary_width() const { return static_cast<int>(head_dim * partial_rotary_factor); }
  bool rotates(int layer) const { return no_rope_layers.empty() || !no_rope_layers[layer]; }
  bool has_local_rope() const { return local_rope_theta > 0; }
  bool rotates_locally(int layer) const { return has_local_rope() && window_of(layer) > 0; }
  float score_scale() const {
    return attention_multiplier > 0 ? static_cast<float>(attention_multiplier)
                                    : 1.0f / std::sqrt(static_cast<float>(head_dim));
  }
  bool has_experts(int layer) const {
    return experts.count > 0 && (experts.dense_layers.empty() || !experts.dense_layers[layer]);
  }
  // A layer's result is added to the stream as it is.
  bool adds_plainly() const { return !facts.norm_after() && residual_multiplier == 1; }
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
