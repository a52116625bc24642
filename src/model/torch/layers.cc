#include "model/torch/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace longshot::model {
namespace {

// cos and sin of every position's rotation, [total, 1, head_dim / 2].
struct Rotary {
  at::Tensor cos, sin;
};

// Frequencies of a rope, [1, head_dim / 2].
at::Tensor frequencies_of(Rope rope, at::Device device) {
  std::vector<float>& values = rope.inverse_frequencies;
  return at::from_blob(values.data(), {1, static_cast<int64_t>(values.size())},
                       at::TensorOptions().dtype(at::kFloat))
      .to(device, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
}

// The rows' inverse frequencies, [1 or total, 1, head_dim / 2]. Each length above the steady length
// has its own.
at::Tensor inverse_frequencies(const ModelConfig& config, const LayerInput& input,
                               at::Device device) {
  const int steady = rope_steady_length(config);
  std::map<int64_t, int64_t> row_of;  // length -> row of `ropes`
  std::vector<at::Tensor> ropes = {frequencies_of(rope_of(config, 1), device)};
  std::vector<int64_t> rows;
  for (const int64_t length : input.lengths) {
    const auto [found, is_new] = row_of.try_emplace(length, 0);
    if (is_new && length > steady) {
      found->second = static_cast<int64_t>(ropes.size());
      ropes.push_back(frequencies_of(rope_of(config, static_cast<int>(length)), device));
    }
    rows.push_back(found->second);
  }
  if (ropes.size() == 1) return ropes[0].unsqueeze(1);
  return at::cat(ropes).index_select(0, index_tensor(rows, device)).unsqueeze(1);
}

Rotary rotary(const ModelConfig& config, const LayerInput& input, at::Device device) {
  const at::Tensor positions = index_tensor(input.positions, device).to(at::kFloat);
  const at::Tensor angles = positions.view({-1, 1, 1}) * inverse_frequencies(config, input, device);
  const double factor = rope_of(config, 1).attention_factor;
  if (factor == 1) return {angles.cos(), angles.sin()};
  return {angles.cos() * factor, angles.sin() * factor};
}

// Hugging Face's half-split convention: element i rotates with element i + head_dim / 2.
at::Tensor rotate(const at::Tensor& x, const Rotary& rotary) {  // x: [total, heads, head_dim]
  const std::vector<at::Tensor> half = x.chunk(2, -1);
  return at::cat(
      {half[0] * rotary.cos - half[1] * rotary.sin, half[1] * rotary.cos + half[0] * rotary.sin},
      -1);
}

at::Tensor product(const at::Tensor& x, const at::Tensor& weight,
                   const std::optional<at::Tensor>& bias, bool bf16) {
  if (!bf16) return at::linear(x, weight, bias);
  std::optional<at::Tensor> offset;
  if (bias) offset = bias->to(at::kBFloat16);
  return at::linear(x.to(at::kBFloat16), weight.to(at::kBFloat16), offset).to(at::kFloat);
}

// The weights of one decoder layer, found by their Hugging Face names.
struct Layer {
  const Weights& weights;
  std::string prefix;  // "model.layers.7."

  at::Tensor linear(const at::Tensor& x, const std::string& name, bool bias) const {
    std::optional<at::Tensor> offset;
    if (bias) offset = weights.at(prefix + name + ".bias");
    const at::Tensor y =
        product(x, weights.at(prefix + name + ".weight"), offset, weights.bf16_products());
    const at::Tensor* a = weights.find(prefix + name + ".lora_A.weight");
    if (a == nullptr) return y;
    const at::Tensor& b = weights.at(prefix + name + ".lora_B.weight");
    return y + at::linear(at::linear(x, *a) * weights.lora(prefix + name).scale(), b);
  }

  at::Tensor norm(const at::Tensor& x, const std::string& name) const {
    return at::rms_norm(x, {x.size(-1)}, weights.at(prefix + name + ".weight"),
                        weights.config().rms_norm_eps);
  }
};

at::Tensor attention_block(const Layer& layer, int index, const at::Tensor& x, const Rotary& rotary,
                           const AttentionFn& attention) {
  const ModelConfig& config = layer.weights.config();
  const auto heads = [&](const std::string& name) {  // [total, heads, head_dim]
    return layer.linear(x, name, config.qkv_bias).view({x.size(0), -1, config.head_dim});
  };
  at::Tensor q = heads("self_attn.q_proj");
  at::Tensor k = heads("self_attn.k_proj");
  const at::Tensor v = heads("self_attn.v_proj");
  if (config.qk_norm) {
    q = layer.norm(q, "self_attn.q_norm");
    k = layer.norm(k, "self_attn.k_norm");
  }
  const at::Tensor mixed = attention(index, rotate(q, rotary), rotate(k, rotary), v);
  return layer.linear(mixed.reshape({x.size(0), -1}), "self_attn.o_proj",
                      config.attention_out_bias);
}

at::Tensor mlp_block(const Layer& layer, const at::Tensor& x) {
  const bool bias = layer.weights.config().mlp_bias;
  const at::Tensor gate = at::silu(layer.linear(x, "mlp.gate_proj", bias));
  return layer.linear(gate * layer.linear(x, "mlp.up_proj", bias), "mlp.down_proj", bias);
}

}  // namespace

at::Tensor decode_layers(const Weights& weights, const LayerInput& input,
                         const AttentionFn& attention) {
  const at::Device device = weights.device();
  const Rotary rope = rotary(weights.config(), input, device);
  at::Tensor x =
      at::embedding(weights.at("model.embed_tokens.weight"), index_tensor(input.tokens, device));
  for (int i = 0; i < weights.config().num_layers; ++i) {
    const Layer layer{weights, "model.layers." + std::to_string(i) + "."};
    x = x + attention_block(layer, i, layer.norm(x, "input_layernorm"), rope, attention);
    x = x + mlp_block(layer, layer.norm(x, "post_attention_layernorm"));
  }
  return Layer{weights, "model."}.norm(x, "norm");
}

at::Tensor index_tensor(const std::vector<int64_t>& values, at::Device device) {
  return at::tensor(values, at::TensorOptions().dtype(at::kLong)).to(device);
}

}  // namespace longshot::model
