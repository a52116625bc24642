#pragma once
// The weights of a model in the form the kernels read.

#include <vector>

#include "base/status.h"
#include "base/thread_pool.h"
#include "kernels/products/gemm.h"
#include "model/format/weights_view.h"

namespace longshot::rollout::cpu {

using kernels::AlignedFloats;
using kernels::kLane;
using kernels::kPanel;
using kernels::PanelMatrix;
using kernels::round_up;

inline constexpr int kMaxHeadDim = 512;

struct PanelExpert {
  PanelMatrix gate_up, down;  // as those of a layer
};

struct PanelLayer {
  // [hidden padded]; empty if the model has none in this place
  AlignedFloats attention_norm, attention_post_norm, mlp_norm, mlp_post_norm;
  AlignedFloats q_norm, k_norm;  // [their width padded], empty without QK norm
  PanelMatrix qkv;               // [(heads + 2 kv_heads) * head_dim, hidden]: queries, keys, values
  PanelMatrix out;               // [hidden, heads * head_dim]
  PanelMatrix gate_up;           // [2 * padded intermediate, hidden]: gate and up panels alternate
  PanelMatrix down;              // [hidden, intermediate]
  // In a layer with experts these take the place of gate_up and down.
  PanelMatrix router;  // [experts, hidden], always f32: a rounded one chooses other experts
  std::vector<PanelExpert> experts;
};

class PanelModel {
 public:
  // Copies all weights: the matrices in `format`; norms, biases and embeddings in f32. The view is
  // not needed afterwards. Memory of an earlier load is reused if the shapes are the same. Error: a
  // weight is missing or has the wrong shape, or there are no kernels for the architecture.
  // Embeddings are multiplied by the model's multiplier, and the final norm divided by its
  // logits_scaling.
  Status load(const model::WeightsView& weights, NumberFormat format, ThreadPool& pool);

  void free();  // the weights; config() stays

  const model::ModelConfig& config() const { return config_; }
  const std::vector<PanelLayer>& layers() const { return layers_; }
  const AlignedFloats& final_norm() const { return final_norm_; }
  const PanelMatrix& head() const { return head_; }
  const float* embedding(int token) const {
    return embedding_.data() + static_cast<size_t>(token) * config_.hidden_size;
  }
  int64_t bytes() const;
  int padded_intermediate() const { return round_up(config_.intermediate_size, kLane); }
  int padded_expert_width() const { return round_up(config_.experts.width, kLane); }

 private:
  model::ModelConfig config_;
  AlignedFloats embedding_;  // [vocab, hidden]
  std::vector<PanelLayer> layers_;
  AlignedFloats final_norm_;
  PanelMatrix head_;
};

}  // namespace longshot::rollout::cpu
