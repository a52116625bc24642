// The backward pass of the decoder.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "kernels/rows/row_ops.h"
#include "model/cpu/decoder.h"

namespace longshot::model::cpu {

using kernels::ConstRows;
using kernels::Rows;
using kernels::Store;

namespace {

bool trained(const LinearArrays<float>& g) {
  return g.weight != nullptr || g.bias != nullptr || g.lora_a != nullptr || g.lora_b != nullptr;
}

bool trained(const LayerArrays<float>& g) {
  if (g.attention_norm != nullptr || g.mlp_norm != nullptr) return true;
  if (g.q_norm != nullptr || g.k_norm != nullptr) return true;
  if (g.attention_post_norm != nullptr || g.mlp_post_norm != nullptr) return true;
  const auto expert_trained = [](const ExpertArrays<float>& e) {
    return trained(e.gate) || trained(e.up) || trained(e.down);
  };
  if (trained(g.router) || std::ranges::any_of(g.experts, expert_trained)) return true;
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

}  // namespace

// Turns dx_ from the gradient at the layer's output into that at s.middle.
void Decoder::mlp_backward(int layer, Saved& s, const LayerArrays<float>& g) {
  if (config_.has_experts(layer)) return experts_backward(layer, s, g);
  const LayerArrays<const float>& w = weights(layer);
  const int inner = config_.intermediate_size, hidden = hidden_width(), up = up_column();
  const bool kept = checkpointing_ == Checkpointing::none, normed = config_.facts.norm_after();
  const LinearPart down{&w.down, &g.down, 0, hidden};
  for (int64_t begin = 0; begin < rows_; begin += kMlpRows) {
    const int64_t rows = std::min(kMlpRows, rows_ - begin);
    dnormed_.reset(rows, hidden);
    act_.reset(rows, up);
    dgate_up_.reset(rows, 2 * up);
    if (!kept) gate_up_.reset(rows, 2 * up);
    const Rows gate_up = kept ? rows_from(s.gate_up, begin) : gate_up_.rows();
    const ConstRows in = kept ? input_rows(s.middle, w.mlp_norm, begin, rows)
                              : mlp_rows(layer, s, begin, rows, gate_up);
    if (normed && !kept) mlp_branch_again(layer, rows, gate_up);
    const ConstRows branch = kept && normed ? rows_from(std::as_const(s.mlp_branch), begin)
                                            : std::as_const(branch_).rows();
    const ConstRows dout = add_branch_backward(
        branch, w.mlp_post_norm, rows, rows_from(std::as_const(dx_), begin), g.mlp_post_norm);
    linear_.input_gradient(dout, rows, {&down, 1}, inner, act_.rows());
    for_rows(rows, [&](int64_t first, int64_t last) {
      for (int64_t r = first; r < last; ++r) {
        kernels::gate_mul_backward(gate(), gate_up.row(r), gate_up.row(r) + up, up, act_.row(r),
                                   dgate_up_.row(r), dgate_up_.row(r) + up);
      }
    });
    linear_.weight_gradient(dout, std::as_const(act_).rows(), rows, {&down, 1}, inner);
    linear_.backward(std::as_const(dgate_up_).rows(), in, rows, gate_up_parts(w, &g), hidden,
                     dnormed_.rows());
    input_rows_backward(s.middle, w.mlp_norm, begin, rows, dnormed_, g.mlp_norm);
  }
}

// gate_up -> branch_, which the forward pass did not keep.
void Decoder::mlp_branch_again(int layer, int64_t rows, Rows gate_up) {
  const int up = up_column();
  branch_.reset(rows, hidden_width());
  for_rows(rows, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r)
      kernels::gate_mul(gate(), gate_up.row(r), gate_up.row(r) + up, up, act_.row(r));
  });
  linear_.forward(std::as_const(act_).rows(), rows, weights(layer).down, hidden_width(),
                  config_.intermediate_size, branch_.rows(), Store::set);
}

// Turns dx_ from the gradient at s.middle into that at s.x.
void Decoder::attention_backward(int layer, Saved& s, const LayerArrays<float>& g) {
  const LayerArrays<const float>& w = weights(layer);
  const int hidden = hidden_width(), q = query_width(), kv = kv_width();
  dattended_.reset(rows_, q);
  dqkv_.reset(rows_, q + 2 * kv);
  dnormed_.reset(rows_, hidden);
  const ConstRows dout =
      add_branch_backward(std::as_const(s.attention_branch).rows(), w.attention_post_norm, rows_,
                          std::as_const(dx_).rows(), g.attention_post_norm);
  linear_.backward(dout, std::as_const(s.attended).rows(), rows_, w.out, hidden, q, g.out,
                   dattended_.rows());
  attention_.set_window(config_.window_of(layer));
  attention_.backward(*batch_.families, std::as_const(s.qkv).rows(),
                      std::as_const(s.attended).rows(), std::as_const(s.log_sums).rows(),
                      std::as_const(dattended_).rows(), dqkv_.rows());
  rotate(layer, dqkv_.rows(), /*back=*/true);
  if (config_.facts.qk_norm != QkNorm::none) qk_norms_backward(layer, s, g);
  const ConstRows in = input_rows(s.x, w.attention_norm, 0, rows_);
  linear_.backward(std::as_const(dqkv_).rows(), in, rows_, qkv_parts(w, &g), hidden,
                   dnormed_.rows());
  input_rows_backward(s.x, w.attention_norm, 0, rows_, dnormed_, g.attention_norm);
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
  norm_backward(std::as_const(x_).rows(), weights_.final_norm, rows_,
                std::as_const(dnormed_).rows(), dx_.rows(), gradients.final_norm);
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
  const auto multiplier = static_cast<float>(config_.embedding_multiplier);
  for (int64_t r = 0; r < rows_; ++r) {
    float* out = gradients.embedding + static_cast<size_t>(tokens_[r]) * hidden;
    const float* in = dx_.row(r);
    for (int i = 0; i < hidden; ++i) out[i] += multiplier * in[i];
  }
}

}  // namespace longshot::model::cpu
