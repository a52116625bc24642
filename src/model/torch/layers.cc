#include "model/torch/layers.h"
#include "model/format/architecture.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros_like.h>

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace longshot::model {
namespace {

// cos and sin of every position's rotation, [total, 1, rotary width / 2].
struct Rotary {
  at::Tensor cos, sin;
};

// Frequencies of a rope, [1, rotary width / 2].
at::Tensor frequencies_of(Rope rope, at::Device device) {
  std::vector<float>& values = rope.inverse_frequencies;
  return at::from_blob(values.data(), {1, static_cast<int64_t>(values.size())},
                       at::TensorOptions().dtype(at::kFloat))
      .to(device, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
}

// The rows' inverse frequencies, [1 or total, 1, rotary width / 2]. Each length above the steady
// length has its own.
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

Rotary local_rotary(const ModelConfig& config, const LayerInput& input, at::Device device) {
  const at::Tensor positions = index_tensor(input.positions, device).to(at::kFloat);
  const at::Tensor angles =
      positions.view({-1, 1, 1}) * frequencies_of(local_rope_of(config), device).unsqueeze(1);
  return {angles.cos(), angles.sin()};
}

// Hugging Face's half-split convention: element i rotates with element i + width / 2; or, in pairs,
// element 2 i with 2 i + 1. The elements of a head from the rotary width on stay.
at::Tensor rotate(const ModelConfig& config, const at::Tensor& x, const Rotary& rotary) {
  const int64_t width = config.rotary_width();  // x: [total, heads, head_dim]
  const at::Tensor turning = x.narrow(-1, 0, width);
  const bool pairs = config.facts.rope_pairs;
  const at::Tensor a = pairs ? turning.slice(-1, 0, width, 2) : turning.narrow(-1, 0, width / 2);
  const at::Tensor b =
      pairs ? turning.slice(-1, 1, width, 2) : turning.narrow(-1, width / 2, width / 2);
  std::vector<at::Tensor> parts = {a * rotary.cos - b * rotary.sin,
                                   b * rotary.cos + a * rotary.sin};
  if (pairs) parts = {at::stack(parts, -1).flatten(-2)};
  if (width < config.head_dim) parts.push_back(x.narrow(-1, width, config.head_dim - width));
  return parts.size() == 1 ? parts[0] : at::cat(parts, -1);
}

at::Tensor product(const at::Tensor& x, const at::Tensor& weight,
                   const std::optional<at::Tensor>& bias, bool bf16) {
  if (!bf16) return at::linear(x, weight, bias);
  std::optional<at::Tensor> offset;
  if (bias) offset = bias->to(at::kBFloat16);
  return at::linear(x.to(at::kBFloat16), weight.to(at::kBFloat16), offset).to(at::kFloat);
}

at::Tensor rms_norm(const Weights& weights, const at::Tensor& x, const std::string& module) {
  const at::Tensor& weight = weights.at(weight_of(module));
  const bool plus_one = weights.config().facts.norm_plus_one;
  return at::rms_norm(x, {x.size(-1)}, plus_one ? weight + 1 : weight,
                      weights.config().rms_norm_eps);
}

// The weights of one decoder layer, found by their roles.
struct Layer {
  const Weights& weights;
  int index;

  at::Tensor linear(const at::Tensor& x, Role role, int expert = 0) const {
    const RowsOfModule rows = rows_of(weights.config(), index, role, expert);
    const auto part = [&](const at::Tensor& whole) {
      return whole.size(0) == rows.rows ? whole : whole.narrow(0, rows.first, rows.rows);
    };
    std::optional<at::Tensor> offset;
    if (rows.bias) offset = part(weights.at(bias_of(rows.module)));
    const at::Tensor y =
        product(x, part(weights.at(weight_of(rows.module))), offset, weights.bf16_products());
    const at::Tensor* a = weights.find(rows.module + ".lora_A.weight");
    if (a == nullptr) return y;
    const at::Tensor b = part(weights.at(rows.module + ".lora_B.weight"));
    return y + at::linear(at::linear(x, *a) * weights.lora(rows.module).scale(), b);
  }

  at::Tensor norm(const at::Tensor& x, Role role) const {
    return rms_norm(weights, x, module_of(weights.config(), index, role));
  }
  // What attention or MLP reads of the stream.
  at::Tensor input(const at::Tensor& x, Role norm_role) const {
    return weights.config().facts.norm_before() ? norm(x, norm_role) : x;
  }
  // The stream with the result of attention or MLP.
  at::Tensor add(const at::Tensor& x, const at::Tensor& result, Role norm_role) const {
    const ModelConfig& config = weights.config();
    const at::Tensor branch = config.facts.norm_after() ? norm(result, norm_role) : result;
    return config.residual_multiplier == 1 ? x + branch : x + branch * config.residual_multiplier;
  }
};

at::Tensor attention_block(const Layer& layer, const at::Tensor& x, const Rotary& rotary,
                           const AttentionFn& attention) {
  const ModelConfig& config = layer.weights.config();
  at::Tensor q = layer.linear(x, Role::q), k = layer.linear(x, Role::k);
  const auto norm_both = [&] {
    q = layer.norm(q, Role::q_norm);
    k = layer.norm(k, Role::k_norm);
  };
  const auto heads = [&](const at::Tensor& y) {  // [total, heads, head_dim]
    return y.view({x.size(0), -1, config.head_dim});
  };
  if (config.facts.qk_norm == QkNorm::width) norm_both();
  q = heads(q);
  k = heads(k);
  if (config.facts.qk_norm == QkNorm::heads) norm_both();
  if (config.rotates(layer.index)) {
    q = rotate(config, q, rotary);
    k = rotate(config, k, rotary);
  }
  const at::Tensor mixed = attention(layer.index, q, k, heads(layer.linear(x, Role::v)));
  return layer.linear(mixed.reshape({x.size(0), -1}), Role::out);
}

at::Tensor activation(const ModelConfig& config, const at::Tensor& x) {
  return config.facts.activation == Activation::silu ? at::silu(x) : at::gelu(x, "tanh");
}

// The router's product is in f32 even where the others are in bf16, because a rounded one chooses
// other experts.
at::Tensor experts_block(const Layer& layer, const at::Tensor& x) {
  const ModelConfig& config = layer.weights.config();
  const at::Tensor& router =
      layer.weights.at(weight_of(module_of(config, layer.index, Role::router)));
  auto [weight, expert] =
      at::topk(at::softmax(at::linear(x, router), -1), config.experts.per_token, -1);
  if (config.experts.normalized) weight = weight / weight.sum(-1, /*keepdim=*/true);
  at::Tensor out = at::zeros_like(x);
  for (int e = 0; e < config.experts.count; ++e) {
    const at::Tensor chosen = at::nonzero(expert == e);  // [tokens of the expert, 2]
    if (chosen.size(0) == 0) continue;
    const at::Tensor token = chosen.select(1, 0), place = chosen.select(1, 1);
    const at::Tensor in = x.index_select(0, token);
    const at::Tensor gate = activation(config, layer.linear(in, Role::expert_gate, e));
    const at::Tensor result =
        layer.linear(gate * layer.linear(in, Role::expert_up, e), Role::expert_down, e);
    out = out.index_add(0, token, result * weight.index({token, place}).unsqueeze(1));
  }
  return out;
}

at::Tensor mlp_block(const Layer& layer, const at::Tensor& x) {
  if (layer.weights.config().has_experts(layer.index)) return experts_block(layer, x);
  const at::Tensor gate = activation(layer.weights.config(), layer.linear(x, Role::gate));
  return layer.linear(gate * layer.linear(x, Role::up), Role::down);
}

}  // namespace

at::Tensor decode_layers(const Weights& weights, const LayerInput& input,
                         const AttentionFn& attention) {
  const at::Device device = weights.device();
  const ModelConfig& config = weights.config();
  const Rotary rope = rotary(config, input, device);
  const Rotary local = config.has_local_rope() ? local_rotary(config, input, device) : Rotary{};
  at::Tensor x =
      at::embedding(weights.at(weight_of(names::kEmbedding)), index_tensor(input.tokens, device));
  if (config.embedding_multiplier != 1) x = x * config.embedding_multiplier;
  for (int i = 0; i < config.num_layers; ++i) {
    const Layer layer{weights, i};
    x = layer.add(x,
                  attention_block(layer, layer.input(x, Role::attention_norm),
                                  config.rotates_locally(i) ? local : rope, attention),
                  Role::attention_post_norm);
    x = layer.add(x, mlp_block(layer, layer.input(x, Role::mlp_norm)), Role::mlp_post_norm);
  }
  return rms_norm(weights, x, names::kFinalNorm);
}

at::Tensor attend(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k,
                  const at::Tensor& v, const std::optional<at::Tensor>& mask) {
  const int64_t group = q.size(1) / k.size(1);
  if (config.attention_softcap == 0) {
    std::optional<double> scale;
    if (config.attention_multiplier > 0) scale = config.attention_multiplier;
    return at::scaled_dot_product_attention(q, k, v, mask, /*dropout_p=*/0.0,
                                            /*is_causal=*/!mask.has_value(), scale,
                                            /*enable_gqa=*/group != 1);
  }
  const at::Tensor keys = k.repeat_interleave(group, 1), values = v.repeat_interleave(group, 1);
  const double cap = config.attention_softcap;
  at::Tensor scores = at::matmul(q, keys.transpose(-2, -1)) * (config.score_scale() / cap);
  scores = scores.tanh() * cap;
  const at::TensorOptions booleans = at::TensorOptions().dtype(at::kBool).device(q.device());
  const at::Tensor seen =
      mask.has_value() ? *mask : at::ones({q.size(2), k.size(2)}, booleans).tril();
  scores = scores.masked_fill(seen.logical_not(), -std::numeric_limits<float>::infinity());
  return at::matmul(at::softmax(scores, -1), values);
}

at::Tensor index_tensor(const std::vector<int64_t>& values, at::Device device) {
  return at::tensor(values, at::TensorOptions().dtype(at::kLong)).to(device);
}

}  // namespace longshot::model
