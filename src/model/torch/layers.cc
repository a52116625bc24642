#include "model/torch/layers.h"
#include "model/format/architecture.h"

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

at::Tensor rms_norm(const Weights& weights, const at::Tensor& x, const std::string& module) {
  return at::rms_norm(x, {x.size(-1)}, weights.at(weight_of(module)),
                      weights.config().rms_norm_eps);
}

// The weights of one decoder layer, found by their roles.
struct Layer {
  const Weights& weights;
  int index;

  at::Tensor linear(const at::Tensor& x, Role role) const {
    const std::string name = module_of(index, role);
    std::optional<at::Tensor> offset;
    if (shape_of(weights.config(), role).bias) offset = weights.at(bias_of(name));
    const at::Tensor y = product(x, weights.at(weight_of(name)), offset, weights.bf16_products());
    const at::Tensor* a = weights.find(name + ".lora_A.weight");
    if (a == nullptr) return y;
    const at::Tensor& b = weights.at(name + ".lora_B.weight");
    return y + at::linear(at::linear(x, *a) * weights.lora(name).scale(), b);
  }

  at::Tensor norm(const at::Tensor& x, Role role) const {
    return rms_norm(weights, x, module_of(index, role));
  }
};

at::Tensor attention_block(const Layer& layer, const at::Tensor& x, const Rotary& rotary,
                           const AttentionFn& attention) {
  const ModelConfig& config = layer.weights.config();
  const auto heads = [&](Role role) {  // [total, heads, head_dim]
    return layer.linear(x, role).view({x.size(0), -1, config.head_dim});
  };
  at::Tensor q = heads(Role::q);
  at::Tensor k = heads(Role::k);
  const at::Tensor v = heads(Role::v);
  if (config.qk_norm) {
    q = layer.norm(q, Role::q_norm);
    k = layer.norm(k, Role::k_norm);
  }
  const at::Tensor mixed = attention(layer.index, rotate(q, rotary), rotate(k, rotary), v);
  return layer.linear(mixed.reshape({x.size(0), -1}), Role::out);
}

at::Tensor mlp_block(const Layer& layer, const at::Tensor& x) {
  const at::Tensor gate = at::silu(layer.linear(x, Role::gate));
  return layer.linear(gate * layer.linear(x, Role::up), Role::down);
}

}  // namespace

at::Tensor decode_layers(const Weights& weights, const LayerInput& input,
                         const AttentionFn& attention) {
  const at::Device device = weights.device();
  const Rotary rope = rotary(weights.config(), input, device);
  at::Tensor x =
      at::embedding(weights.at(weight_of(names::kEmbedding)), index_tensor(input.tokens, device));
  for (int i = 0; i < weights.config().num_layers; ++i) {
    const Layer layer{weights, i};
    x = x + attention_block(layer, layer.norm(x, Role::attention_norm), rope, attention);
    x = x + mlp_block(layer, layer.norm(x, Role::mlp_norm));
  }
  return rms_norm(weights, x, names::kFinalNorm);
}

at::Tensor index_tensor(const std::vector<int64_t>& values, at::Device device) {
  return at::tensor(values, at::TensorOptions().dtype(at::kLong)).to(device);
}

}  // namespace longshot::model
