#include "model/cpu/decoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "kernels/rows/row_ops.h"
#include "model/cpu/rotations.h"

namespace longshot::model::cpu {

using kernels::ConstRows;
using kernels::Rows;
using kernels::Store;

namespace {

constexpr int64_t kRows = 32;  // rows in one task of an operation that is not a product

bool trained(const LinearArrays<float>& g) {
  return g.weight != nullptr || g.bias != nullptr || g.lora_a != nullptr || g.lora_b != nullptr;
}

bool trained(const LayerArrays<float>& g) {
  if (g.attention_norm != nullptr || g.mlp_norm != nullptr) return true;
  if (g.q_norm != nullptr || g.k_norm != nullptr) return true;
  return trained(g.q) || trained(g.k) || trained(g.v) || trained(g.out) || trained(g.gate) ||
         trained(g.up) || trained(g.down);
}

// The lowest layer whose weights are trained. The backward pass stops there.
int lowest_trained(const DecoderArrays<float>& gradients) {
  if (gradients.embedding != nullptr) return 0;
  int layer = 0;
  while (layer < static_cast<int>(gradients.layers.size()) && !trained(gradients.layers[layer]))
    ++layer;
  return layer;
}

kernels::AttentionShape attention_shape(const ModelConfig& c) {
  return {c.num_heads, c.num_kv_heads, c.head_dim};
}

}  // namespace

Decoder::Decoder(const ModelConfig& config, ThreadPool& pool, NumberFormat products)
    : config_(config),
      linear_(pool, products),
      attention_(attention_shape(config), pool),
      pool_(pool) {}

void Decoder::for_rows(int64_t rows, const std::function<void(int64_t, int64_t)>& body) {
  pool_.parallel_for(static_cast<int>((rows + kRows - 1) / kRows),
                     [&](int b) { body(b * kRows, std::min(rows, (b + 1) * kRows)); });
}

// The kernels read whole vectors, but the model's norm weights end at `width`, so they are copied
// into a padded buffer.
void Decoder::norm(const Activations& in, const float* weight, int64_t begin, int64_t rows,
                   Activations& out) {
  const int width = hidden_width();
  padded_weight_.assign(kernels::round_up(width, kernels::kLane), 0.0f);
  std::copy_n(weight, width, padded_weight_.begin());
  for_rows(rows, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      kernels::rms_norm(in.row(begin + r), padded_weight_.data(), width,
                        static_cast<float>(config_.rms_norm_eps), out.row(r));
    }
  });
}

// The weight's gradient is summed in blocks of rows, then over the blocks in order, so that the
// result does not depend on the threads.
void Decoder::norm_backward(const Activations& in, const float* weight, int64_t begin, int64_t rows,
                            const Activations& dout, Activations& dx, float* dweight) {
  const int width = hidden_width(), padded = kernels::round_up(width, kernels::kLane);
  padded_weight_.assign(padded, 0.0f);
  std::copy_n(weight, width, padded_weight_.begin());
  const int64_t blocks = (rows + kRows - 1) / kRows;
  partial_.assign(static_cast<size_t>(blocks) * padded, 0.0f);
  for_rows(rows, [&](int64_t first, int64_t last) {
    float* sum = partial_.data() + first / kRows * padded;
    for (int64_t r = first; r < last; ++r) {
      kernels::rms_norm_backward(in.row(begin + r), padded_weight_.data(), dout.row(r), width,
                                 static_cast<float>(config_.rms_norm_eps), dx.row(begin + r), sum);
    }
  });
  if (dweight == nullptr) return;
  for (int64_t b = 0; b < blocks; ++b) {
    for (int i = 0; i < width; ++i) dweight[i] += partial_[b * padded + i];
  }
}

// Rotates the query and key heads of one token. With `back`, rotates their gradients in the
// opposite direction.
void Decoder::rotate(int64_t token, float* qkv, bool back) const {
  const int d = config_.head_dim, half = d / 2;
  const float* table = cos_sin_.data() + token * d;
  alignas(64) float turned[512];
  if (back) {
    std::copy_n(table, half, turned);
    for (int i = 0; i < half; ++i) turned[half + i] = -table[half + i];
    table = turned;
  }
  for (int h = 0; h < config_.num_heads + config_.num_kv_heads; ++h)
    kernels::rope(qkv + h * d, table, d);
}

// RMSNorm over each query and key head (Qwen3), from s.raw into s.qkv.
void Decoder::head_norms(int layer, Saved& s) {
  const int d = config_.head_dim, padded = kernels::round_up(d, kernels::kLane);
  kernels::AlignedFloats q_weight(padded), k_weight(padded);
  std::copy_n(weights(layer).q_norm, d, q_weight.begin());
  std::copy_n(weights(layer).k_norm, d, k_weight.begin());
  for_rows(rows_, [&](int64_t first, int64_t last) {
    kernels::AlignedFloats in(padded), out(padded);
    for (int64_t r = first; r < last; ++r) {
      std::copy_n(s.qkv.row(r), query_width() + kv_width(), s.raw.row(r));
      for (int h = 0; h < config_.num_heads + config_.num_kv_heads; ++h) {
        const auto& weight = h < config_.num_heads ? q_weight : k_weight;
        std::copy_n(s.raw.row(r) + h * d, d, in.begin());
        kernels::rms_norm(in.data(), weight.data(), d, static_cast<float>(config_.rms_norm_eps),
                          out.data());
        std::copy_n(out.begin(), d, s.qkv.row(r) + h * d);
      }
    }
  });
}

// Turns dqkv_ from the gradient of the normed heads into that of the raw heads.
void Decoder::head_norms_backward(int layer, const Saved& s, const LayerArrays<float>& g) {
  const int d = config_.head_dim, padded = kernels::round_up(d, kernels::kLane);
  kernels::AlignedFloats q_weight(padded), k_weight(padded);
  std::copy_n(weights(layer).q_norm, d, q_weight.begin());
  std::copy_n(weights(layer).k_norm, d, k_weight.begin());
  const int64_t blocks = (rows_ + kRows - 1) / kRows;
  partial_.assign(static_cast<size_t>(blocks) * 2 * padded, 0.0f);
  for_rows(rows_, [&](int64_t first, int64_t last) {
    kernels::AlignedFloats in(padded), dout(padded), dx(padded);
    float* sums = partial_.data() + first / kRows * 2 * padded;
    for (int64_t r = first; r < last; ++r) {
      for (int h = 0; h < config_.num_heads + config_.num_kv_heads; ++h) {
        const bool query = h < config_.num_heads;
        std::copy_n(s.raw.row(r) + h * d, d, in.begin());
        std::copy_n(dqkv_.row(r) + h * d, d, dout.begin());
        dx.assign(padded, 0.0f);
        kernels::rms_norm_backward(in.data(), (query ? q_weight : k_weight).data(), dout.data(), d,
                                   static_cast<float>(config_.rms_norm_eps), dx.data(),
                                   sums + (query ? 0 : padded));
        std::copy_n(dx.begin(), d, dqkv_.row(r) + h * d);
      }
    }
  });
  for (int64_t b = 0; b < blocks; ++b) {
    for (int i = 0; i < d; ++i) {
      if (g.q_norm != nullptr) g.q_norm[i] += partial_[2 * b * padded + i];
      if (g.k_norm != nullptr) g.k_norm[i] += partial_[(2 * b + 1) * padded + i];
    }
  }
}

std::array<LinearPart, 3> Decoder::qkv_parts(const LayerArrays<const float>& w,
                                             const LayerArrays<float>* g) const {
  const int q = query_width(), kv = kv_width();
  return {LinearPart{&w.q, g == nullptr ? nullptr : &g->q, 0, q},
          LinearPart{&w.k, g == nullptr ? nullptr : &g->k, q, kv},
          LinearPart{&w.v, g == nullptr ? nullptr : &g->v, q + kv, kv}};
}

std::array<LinearPart, 2> Decoder::gate_up_parts(const LayerArrays<const float>& w,
                                                 const LayerArrays<float>* g) const {
  const int inner = config_.intermediate_size;
  return {LinearPart{&w.gate, g == nullptr ? nullptr : &g->gate, 0, inner},
          LinearPart{&w.up, g == nullptr ? nullptr : &g->up, up_column(), inner}};
}

// s.x -> s.qkv, s.attended, s.log_sums, s.middle.
void Decoder::attention_forward(int layer, Saved& s) {
  const LayerArrays<const float>& w = weights(layer);
  const int hidden = hidden_width(), q = query_width(), kv = kv_width();
  s.qkv.reset(rows_, q + 2 * kv);
  s.attended.reset(rows_, q);
  s.log_sums.reset(rows_, config_.num_heads);
  s.middle.reset(rows_, hidden);
  norm(s.x, w.attention_norm, 0, rows_, normed_);
  linear_.forward(std::as_const(normed_).rows(), rows_, qkv_parts(w, nullptr), hidden, s.qkv.rows(),
                  Store::set);
  if (config_.qk_norm) {
    s.raw.reset(rows_, q + kv);
    head_norms(layer, s);
  }
  for_rows(rows_, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) rotate(r, s.qkv.row(r), /*back=*/false);
  });
  attention_.set_window(config_.window_of(layer));
  attention_.forward(*batch_.families, std::as_const(s.qkv).rows(), s.attended.rows(),
                     s.log_sums.rows());
  for_rows(rows_, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) std::copy_n(s.x.row(r), hidden, s.middle.row(r));
  });
  linear_.forward(std::as_const(s.attended).rows(), rows_, w.out, hidden, q, s.middle.rows(),
                  Store::add);
}

// Rows [begin, begin + rows) of s.middle -> normed_ and gate_up.
void Decoder::mlp_rows(int layer, Saved& s, int64_t begin, int64_t rows, Rows gate_up) {
  const LayerArrays<const float>& w = weights(layer);
  norm(s.middle, w.mlp_norm, begin, rows, normed_);
  linear_.forward(std::as_const(normed_).rows(), rows, gate_up_parts(w, nullptr), hidden_width(),
                  gate_up, Store::set);
}

// s.middle -> out = s.middle + MLP(s.middle).
void Decoder::mlp_forward(int layer, Saved& s, bool keep, Activations& out) {
  const LayerArrays<const float>& w = weights(layer);
  const int inner = config_.intermediate_size, hidden = hidden_width();
  if (keep) s.gate_up.reset(rows_, 2 * up_column());
  for (int64_t begin = 0; begin < rows_; begin += kMlpRows) {
    const int64_t rows = std::min(kMlpRows, rows_ - begin);
    if (!keep) gate_up_.reset(rows, 2 * up_column());
    const Rows gate_up =
        keep ? Rows{s.gate_up.row(begin), s.gate_up.rows().stride} : gate_up_.rows();
    mlp_rows(layer, s, begin, rows, gate_up);
    act_.reset(rows, up_column());
    for_rows(rows, [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        kernels::silu_mul(gate_up.row(r), gate_up.row(r) + up_column(), up_column(), act_.row(r));
        std::copy_n(s.middle.row(begin + r), hidden, out.row(begin + r));
      }
    });
    linear_.forward(std::as_const(act_).rows(), rows, w.down, hidden, inner,
                    {out.row(begin), out.rows().stride}, Store::add);
  }
}

void Decoder::forward(const DecoderArrays<const float>& weights, const DecoderBatch& batch,
                      Checkpointing checkpointing, bool for_backward) {
  LS_CHECK(static_cast<int>(weights.layers.size()) == config_.num_layers && config_.head_dim <= 512,
           "weights of another model");
  weights_ = weights;
  batch_ = batch;
  rows_ = static_cast<int64_t>(batch.tokens.size());
  tokens_.assign(batch.tokens.begin(), batch.tokens.end());
  checkpointing_ = checkpointing;
  const int hidden = hidden_width();
  fill_rotations(config_, batch_, pool_, cos_sin_);
  saved_.resize(for_backward ? config_.num_layers : 1);
  normed_.reset(rows_, hidden);
  const auto input_of = [&](int layer) -> Activations& {
    return layer == config_.num_layers ? x_ : saved_[for_backward ? layer : 0].x;
  };
  if (!for_backward) dx_.reset(rows_, hidden);
  for (int l = 0; l <= config_.num_layers; ++l) input_of(l).reset(rows_, hidden);
  for (int64_t r = 0; r < rows_; ++r) {
    std::copy_n(weights.embedding + static_cast<size_t>(tokens_[r]) * hidden, hidden,
                input_of(0).row(r));
  }
  for (int l = 0; l < config_.num_layers; ++l) {
    Saved& s = saved_[for_backward ? l : 0];
    if (for_backward && checkpointing == Checkpointing::full) {
      std::swap(shared_.x, s.x);
      attention_forward(l, shared_);
      mlp_forward(l, shared_, false, input_of(l + 1));
      std::swap(shared_.x, s.x);
    } else {
      attention_forward(l, s);
      mlp_forward(l, s, for_backward && checkpointing == Checkpointing::none, input_of(l + 1));
    }
  }
  norm(x_, weights.final_norm, 0, rows_, normed_);
}

// Turns dx_ from the gradient at the layer's output into that at s.middle.
void Decoder::mlp_backward(int layer, Saved& s, const LayerArrays<float>& g) {
  const LayerArrays<const float>& w = weights(layer);
  const int inner = config_.intermediate_size, hidden = hidden_width(), up = up_column();
  const bool kept = checkpointing_ == Checkpointing::none;
  for (int64_t begin = 0; begin < rows_; begin += kMlpRows) {
    const int64_t rows = std::min(kMlpRows, rows_ - begin);
    dnormed_.reset(rows, hidden);
    act_.reset(rows, up);
    dgate_up_.reset(rows, 2 * up);
    Rows gate_up{};
    if (kept) {
      gate_up = {s.gate_up.row(begin), s.gate_up.rows().stride};
      norm(s.middle, w.mlp_norm, begin, rows, normed_);
    } else {
      gate_up_.reset(rows, 2 * up);
      gate_up = gate_up_.rows();
      mlp_rows(layer, s, begin, rows, gate_up);
    }
    const ConstRows dout{dx_.row(begin), dx_.rows().stride};
    const LinearPart down{&w.down, &g.down, 0, hidden};
    linear_.input_gradient(dout, rows, {&down, 1}, inner, act_.rows());
    for_rows(rows, [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        kernels::silu_mul_backward(gate_up.row(r), gate_up.row(r) + up, up, act_.row(r),
                                   dgate_up_.row(r), dgate_up_.row(r) + up);
      }
    });
    linear_.weight_gradient(dout, std::as_const(act_).rows(), rows, {&down, 1}, inner);
    linear_.backward(std::as_const(dgate_up_).rows(), std::as_const(normed_).rows(), rows,
                     gate_up_parts(w, &g), hidden, dnormed_.rows());
    norm_backward(s.middle, w.mlp_norm, begin, rows, dnormed_, dx_, g.mlp_norm);
  }
}

// Turns dx_ from the gradient at s.middle into that at s.x.
void Decoder::attention_backward(int layer, Saved& s, const LayerArrays<float>& g) {
  const LayerArrays<const float>& w = weights(layer);
  const int hidden = hidden_width(), q = query_width(), kv = kv_width();
  dattended_.reset(rows_, q);
  dqkv_.reset(rows_, q + 2 * kv);
  dnormed_.reset(rows_, hidden);
  linear_.backward(std::as_const(dx_).rows(), std::as_const(s.attended).rows(), rows_, w.out,
                   hidden, q, g.out, dattended_.rows());
  attention_.set_window(config_.window_of(layer));
  attention_.backward(*batch_.families, std::as_const(s.qkv).rows(),
                      std::as_const(s.attended).rows(), std::as_const(s.log_sums).rows(),
                      std::as_const(dattended_).rows(), dqkv_.rows());
  for_rows(rows_, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) rotate(r, dqkv_.row(r), /*back=*/true);
  });
  if (config_.qk_norm) head_norms_backward(layer, s, g);
  norm(s.x, w.attention_norm, 0, rows_, normed_);
  linear_.backward(std::as_const(dqkv_).rows(), std::as_const(normed_).rows(), rows_,
                   qkv_parts(w, &g), hidden, dnormed_.rows());
  norm_backward(s.x, w.attention_norm, 0, rows_, dnormed_, dx_, g.attention_norm);
}

void Decoder::backward(Rows dhidden, const DecoderArrays<float>& gradients) {
  const int hidden = hidden_width();
  LS_CHECK(static_cast<int>(saved_.size()) == config_.num_layers,
           "backward() of a pass that kept nothing");
  dx_.reset(rows_, hidden);
  dnormed_.reset(rows_, hidden);
  for_rows(rows_, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      std::copy_n(dhidden.row(r), hidden, dnormed_.row(r));
      std::fill_n(dx_.row(r), kernels::round_up(hidden, kernels::kLane), 0.0f);
    }
  });
  norm_backward(x_, weights_.final_norm, 0, rows_, dnormed_, dx_, gradients.final_norm);
  for (int l = config_.num_layers - 1; l >= lowest_trained(gradients); --l) {
    const LayerArrays<float>& g = gradients.layers[l];
    if (checkpointing_ == Checkpointing::full) {
      std::swap(shared_.x, saved_[l].x);
      attention_forward(l, shared_);
      mlp_backward(l, shared_, g);
      attention_backward(l, shared_, g);
      std::swap(shared_.x, saved_[l].x);
    } else {
      mlp_backward(l, saved_[l], g);
      attention_backward(l, saved_[l], g);
    }
  }
  if (gradients.embedding == nullptr) return;
  for (int64_t r = 0; r < rows_; ++r) {
    float* out = gradients.embedding + static_cast<size_t>(tokens_[r]) * hidden;
    const float* in = dx_.row(r);
    for (int i = 0; i < hidden; ++i) out[i] += in[i];
  }
}

int64_t Decoder::activation_bytes() const {
  int64_t total = linear_.activation_bytes() + attention_.bytes();
  const auto add = [&](const Activations& a) { total += a.bytes(); };
  const auto add_layer = [&](const Saved& s) {
    for (const Activations* a :
         {&s.x, &s.qkv, &s.raw, &s.attended, &s.log_sums, &s.middle, &s.gate_up})
      add(*a);
  };
  for (const Saved& s : saved_) add_layer(s);
  add_layer(shared_);
  for (const Activations* a :
       {&x_, &normed_, &act_, &dgate_up_, &gate_up_, &dx_, &dnormed_, &dqkv_, &dattended_})
    add(*a);
  return total;
}

}  // namespace longshot::model::cpu
