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

kernels::AttentionShape attention_shape(const ModelConfig& c) {
  return {c.num_heads, c.num_kv_heads, c.head_dim, static_cast<float>(c.attention_multiplier),
          static_cast<float>(c.attention_softcap)};
}

}  // namespace

Decoder::Decoder(const ModelConfig& config, ThreadPool& pool, NumberFormat products)
    : config_(config),
      linear_(pool, products),
      experts_(config, pool, products),
      attention_(attention_shape(config), pool),
      pool_(pool) {}

// Rotates the query and key heads of every token. With `back`, rotates their gradients in the
// opposite direction.
void Decoder::rotate(int layer, Rows qkv, bool back) {
  if (!config_.rotates(layer)) return;
  const auto rope = config_.facts.rope_pairs ? kernels::rope_pairs : kernels::rope;
  const kernels::AlignedFloats& tables = config_.rotates_locally(layer) ? local_cos_sin_ : cos_sin_;
  const int d = config_.head_dim, width = config_.rotary_width(), half = width / 2;
  for_rows(rows_, [&](int64_t first, int64_t last) {
    alignas(64) float turned[512];
    for (int64_t r = first; r < last; ++r) {
      const float* table = tables.data() + r * width;
      if (back) {
        std::copy_n(table, half, turned);
        for (int i = 0; i < half; ++i) turned[half + i] = -table[half + i];
        table = turned;
      }
      for (int h = 0; h < config_.num_heads + config_.num_kv_heads; ++h)
        rope(qkv.row(r) + h * d, table, width);
    }
  });
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

// s.x -> s.qkv, s.attended, s.log_sums, s.middle, and s.attention_branch if it is normed.
void Decoder::attention_forward(int layer, Saved& s) {
  const LayerArrays<const float>& w = weights(layer);
  const int hidden = hidden_width(), q = query_width(), kv = kv_width();
  s.qkv.reset(rows_, q + 2 * kv);
  s.attended.reset(rows_, q);
  s.log_sums.reset(rows_, config_.num_heads);
  s.middle.reset(rows_, hidden);
  linear_.forward(input_rows(s.x, w.attention_norm, 0, rows_), rows_, qkv_parts(w, nullptr), hidden,
                  s.qkv.rows(), Store::set);
  if (config_.facts.qk_norm != QkNorm::none) {
    s.raw.reset(rows_, q + kv);
    qk_norms(layer, s);
  }
  rotate(layer, s.qkv.rows(), /*back=*/false);
  attention_.set_window(config_.window_of(layer));
  attention_.forward(*batch_.families, std::as_const(s.qkv).rows(), s.attended.rows(),
                     s.log_sums.rows());
  if (!config_.adds_plainly()) {
    Activations& branch = config_.facts.norm_after() ? s.attention_branch : branch_;
    branch.reset(rows_, hidden);
    linear_.forward(std::as_const(s.attended).rows(), rows_, w.out, hidden, q, branch.rows(),
                    Store::set);
    return add_branch(std::as_const(s.x).rows(), std::as_const(branch).rows(),
                      w.attention_post_norm, rows_, s.middle.rows());
  }
  for_rows(rows_, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) std::copy_n(s.x.row(r), hidden, s.middle.row(r));
  });
  linear_.forward(std::as_const(s.attended).rows(), rows_, w.out, hidden, q, s.middle.rows(),
                  Store::add);
}

// Rows [begin, begin + rows) of s.middle -> gate_up. Returns what the MLP reads.
ConstRows Decoder::mlp_rows(int layer, Saved& s, int64_t begin, int64_t rows, Rows gate_up) {
  const LayerArrays<const float>& w = weights(layer);
  const ConstRows in = input_rows(s.middle, w.mlp_norm, begin, rows);
  linear_.forward(in, rows, gate_up_parts(w, nullptr), hidden_width(), gate_up, Store::set);
  return in;
}

// s.middle -> out = s.middle + MLP(s.middle).
void Decoder::mlp_forward(int layer, Saved& s, bool keep, Activations& out) {
  if (config_.has_experts(layer)) return experts_forward(layer, s, keep, out);
  const LayerArrays<const float>& w = weights(layer);
  const int inner = config_.intermediate_size, hidden = hidden_width(), up = up_column();
  const bool plain = config_.adds_plainly(), keep_branch = keep && config_.facts.norm_after();
  if (keep) s.gate_up.reset(rows_, 2 * up);
  if (keep_branch) s.mlp_branch.reset(rows_, hidden);
  for (int64_t begin = 0; begin < rows_; begin += kMlpRows) {
    const int64_t rows = std::min(kMlpRows, rows_ - begin);
    if (!keep) gate_up_.reset(rows, 2 * up);
    if (!plain && !keep_branch) branch_.reset(rows, hidden);
    const Rows gate_up = keep ? rows_from(s.gate_up, begin) : gate_up_.rows();
    mlp_rows(layer, s, begin, rows, gate_up);
    act_.reset(rows, up);
    for_rows(rows, [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        kernels::gate_mul(gate(), gate_up.row(r), gate_up.row(r) + up, up, act_.row(r));
        if (plain) std::copy_n(s.middle.row(begin + r), hidden, out.row(begin + r));
      }
    });
    const Rows result = rows_from(out, begin);
    const Rows branch = plain         ? result
                        : keep_branch ? rows_from(s.mlp_branch, begin)
                                      : branch_.rows();
    linear_.forward(std::as_const(act_).rows(), rows, w.down, hidden, inner, branch,
                    plain ? Store::add : Store::set);
    if (plain) continue;
    add_branch(rows_from(std::as_const(s.middle), begin), {branch.data, branch.stride},
               w.mlp_post_norm, rows, result);
  }
}

void Decoder::embed(Activations& x) {
  const auto multiplier = static_cast<float>(config_.embedding_multiplier);
  for (int64_t r = 0; r < rows_; ++r) {
    const float* in = weights_.embedding + static_cast<size_t>(tokens_[r]) * hidden_width();
    for (int i = 0; i < hidden_width(); ++i) x.row(r)[i] = multiplier * in[i];
  }
}

void Decoder::forward(const DecoderArrays<const float>& weights, const DecoderBatch& batch,
                      Checkpointing checkpointing, bool for_backward) {
  LS_CHECK(static_cast<int>(weights.layers.size()) == config_.num_layers && config_.head_dim <= 512,
           "weights of another model");
  LS_CHECK(config_.experts.count == 0 || config_.adds_plainly(),
           "no model has experts and norms or a multiplier after them");
  weights_ = weights;
  batch_ = batch;
  rows_ = static_cast<int64_t>(batch.tokens.size());
  tokens_.assign(batch.tokens.begin(), batch.tokens.end());
  checkpointing_ = checkpointing;
  const int hidden = hidden_width();
  fill_rotations(config_, batch_, pool_, cos_sin_);
  if (config_.has_local_rope()) fill_local_rotations(config_, batch_, pool_, local_cos_sin_);
  saved_.resize(for_backward ? config_.num_layers : 1);
  normed_.reset(rows_, hidden);
  const auto input_of = [&](int layer) -> Activations& {
    return layer == config_.num_layers ? x_ : saved_[for_backward ? layer : 0].x;
  };
  if (!for_backward) dx_.reset(rows_, hidden);
  for (int l = 0; l <= config_.num_layers; ++l) input_of(l).reset(rows_, hidden);
  embed(input_of(0));
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

int64_t Decoder::activation_bytes() const {
  int64_t total = linear_.activation_bytes() + attention_.bytes() + experts_.activation_bytes();
  const auto add = [&](const Activations& a) { total += a.bytes(); };
  const auto add_layer = [&](const Saved& s) {
    for (const Activations* a : {&s.x, &s.qkv, &s.raw, &s.attended, &s.log_sums, &s.middle,
                                 &s.gate_up, &s.attention_branch, &s.mlp_branch})
      add(*a);
    for (const kernels::Routing& routing : s.routings) total += routing.bytes();
  };
  for (const Saved& s : saved_) add_layer(s);
  add_layer(shared_);
  for (const Activations* a : {&x_, &normed_, &act_, &dgate_up_, &gate_up_, &expert_gate_up_, &dx_,
                               &dnormed_, &dqkv_, &dattended_, &branch_, &dscaled_, &dbranch_})
    add(*a);
  return total;
}

}  // namespace longshot::model::cpu
