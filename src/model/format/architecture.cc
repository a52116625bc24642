// What a configuration implies: the weights, their number, the rotary frequencies.

#include <cmath>
#include <numbers>

#include "model/format/config.h"

namespace longshot::model {
namespace {

void add_attention(const ModelConfig& c, const std::string& prefix,
                   std::vector<WeightSpec>& specs) {
  const int64_t hidden = c.hidden_size;
  const int64_t q = int64_t{c.num_heads} * c.head_dim, kv = int64_t{c.num_kv_heads} * c.head_dim;
  const struct {
    const char* name;
    int64_t rows, columns;
    bool bias;
  } projections[] = {{"q_proj", q, hidden, c.qkv_bias},
                     {"k_proj", kv, hidden, c.qkv_bias},
                     {"v_proj", kv, hidden, c.qkv_bias},
                     {"o_proj", hidden, q, c.attention_out_bias}};
  for (const auto& p : projections) {
    specs.push_back({prefix + p.name + ".weight", {p.rows, p.columns}});
    if (p.bias) specs.push_back({prefix + p.name + ".bias", {p.rows}});
  }
  if (c.qk_norm) {
    specs.push_back({prefix + "q_norm.weight", {c.head_dim}});
    specs.push_back({prefix + "k_norm.weight", {c.head_dim}});
  }
}

void add_mlp(const ModelConfig& c, const std::string& prefix, std::vector<WeightSpec>& specs) {
  const int64_t hidden = c.hidden_size, inner = c.intermediate_size;
  const struct {
    const char* name;
    int64_t rows, columns;
  } projections[] = {
      {"gate_proj", inner, hidden}, {"up_proj", inner, hidden}, {"down_proj", hidden, inner}};
  for (const auto& p : projections) {
    specs.push_back({prefix + p.name + ".weight", {p.rows, p.columns}});
    if (c.mlp_bias) specs.push_back({prefix + p.name + ".bias", {p.rows}});
  }
}

// Llama 3.1's stretching of one frequency (Hugging Face transformers, modeling_rope_utils.py,
// _compute_llama3_parameters): wavelengths longer than original/low_freq_factor are divided by
// `factor`, shorter than original/high_freq_factor kept, and between them the two are mixed
// linearly in original/wavelength.
double scale_frequency(double frequency, const Llama3RopeScaling& s) {
  const double original = s.original_max_position_embeddings;
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < original / s.high_freq_factor) return frequency;
  if (wavelength > original / s.low_freq_factor) return frequency / s.factor;
  const double smooth =
      (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - smooth) * frequency / s.factor + smooth * frequency;
}

}  // namespace

std::vector<WeightSpec> expected_weights(const ModelConfig& c) {
  std::vector<WeightSpec> specs;
  specs.push_back({"model.embed_tokens.weight", {c.vocab_size, c.hidden_size}});
  for (int layer = 0; layer < c.num_layers; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    specs.push_back({prefix + "input_layernorm.weight", {c.hidden_size}});
    add_attention(c, prefix + "self_attn.", specs);
    specs.push_back({prefix + "post_attention_layernorm.weight", {c.hidden_size}});
    add_mlp(c, prefix + "mlp.", specs);
  }
  specs.push_back({"model.norm.weight", {c.hidden_size}});
  if (c.score_head) {
    specs.push_back({"score.weight", {1, c.hidden_size}});
  } else if (!c.tie_word_embeddings) {
    specs.push_back({"lm_head.weight", {c.vocab_size, c.hidden_size}});
  }
  return specs;
}

int64_t parameter_count(const ModelConfig& config) {
  int64_t total = 0;
  for (const WeightSpec& spec : expected_weights(config)) {
    int64_t count = 1;
    for (int64_t extent : spec.shape) count *= extent;
    total += count;
  }
  return total;
}

// theta^(-2i/head_dim), RoFormer (Su et al., 2021), section 3.2.2.
std::vector<float> rope_inverse_frequencies(const ModelConfig& config) {
  std::vector<float> frequencies(static_cast<size_t>(config.head_dim / 2));
  for (size_t i = 0; i < frequencies.size(); ++i) {
    double frequency = std::pow(config.rope_theta, -2.0 * static_cast<double>(i) / config.head_dim);
    if (config.rope_scaling) frequency = scale_frequency(frequency, *config.rope_scaling);
    frequencies[i] = static_cast<float>(frequency);
  }
  return frequencies;
}

}  // namespace longshot::model
