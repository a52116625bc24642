#pragma once
// Forward and backward of the decoder layers on the CPU: packed sequences, shared prompts, and a
// choice of which activations are kept. Computes the same function as hidden_states() of
// model/torch/forward.h, against which it is tested, with hand-written gradients on the kernels of
// kernels/.
//
// Gradients do not depend on the number of threads.

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/attention/packed_attention.h"
#include "model/cpu/activations.h"
#include "model/cpu/linear.h"
#include "model/cpu/rotations.h"
#include "model/format/config.h"

namespace longshot::model::cpu {

// Null if the model has no such weight or, among gradients, if the weight is not trained.
template <typename T>
struct LayerArrays {
  T *attention_norm = nullptr, *mlp_norm = nullptr, *q_norm = nullptr, *k_norm = nullptr;
  LinearArrays<T> q, k, v, out, gate, up, down;
};
template <typename T>
struct DecoderArrays {
  T *embedding = nullptr, *final_norm = nullptr;  // [vocab, hidden], [hidden]
  std::vector<LayerArrays<T>> layers;
};

// Not thread-safe. Each forward() may be followed by at most one backward().
class Decoder {
 public:
  // products: the format of the linear layers' products, f32 or bf16. Everything else is f32.
  Decoder(const ModelConfig& config, ThreadPool& pool, NumberFormat products);

  // With `for_backward`, keeps what backward() needs; the arrays of `weights` are then borrowed
  // until backward() returns.
  void forward(const DecoderArrays<const float>& weights, const DecoderBatch& batch,
               Checkpointing checkpointing, bool for_backward);
  // The hidden states after the final norm, [tokens, hidden].
  kernels::ConstRows hidden() const { return normed_.rows(); }
  // `dhidden` is the gradient at hidden(), [tokens, hidden]. Adds to `gradients`.
  void backward(kernels::Rows dhidden, const DecoderArrays<float>& gradients);

  int64_t activation_bytes() const;

 private:
  struct Saved {
    Activations x, qkv, raw, attended, log_sums, middle, gate_up;
  };

  // The layers that read the same rows. `g` may be null in a forward pass.
  std::array<LinearPart, 3> qkv_parts(const LayerArrays<const float>& w,
                                      const LayerArrays<float>* g) const;
  std::array<LinearPart, 2> gate_up_parts(const LayerArrays<const float>& w,
                                          const LayerArrays<float>* g) const;
  void attention_forward(int layer, Saved& s);
  void mlp_rows(int layer, Saved& s, int64_t begin, int64_t rows, kernels::Rows gate_up);
  void mlp_forward(int layer, Saved& s, bool keep, Activations& out);
  void mlp_backward(int layer, Saved& s, const LayerArrays<float>& g);
  void attention_backward(int layer, Saved& s, const LayerArrays<float>& g);
  void rotate(int64_t token, float* qkv, bool back) const;
  void head_norms(int layer, Saved& s);
  void head_norms_backward(int layer, const Saved& s, const LayerArrays<float>& g);
  void norm(const Activations& in, const float* weight, int64_t begin, int64_t rows,
            Activations& out);
  void norm_backward(const Activations& in, const float* weight, int64_t begin, int64_t rows,
                     const Activations& dout, Activations& dx, float* dweight);
  void for_rows(int64_t rows, const std::function<void(int64_t begin, int64_t end)>& body);

  int hidden_width() const { return config_.hidden_size; }
  int query_width() const { return config_.num_heads * config_.head_dim; }
  int kv_width() const { return config_.num_kv_heads * config_.head_dim; }
  int up_column() const { return kernels::round_up(config_.intermediate_size, kernels::kLane); }
  const LayerArrays<const float>& weights(int layer) const { return weights_.layers[layer]; }

  ModelConfig config_;
  Linear linear_;
  kernels::PackedAttention attention_;
  ThreadPool& pool_;

  // State of the current pass.
  DecoderArrays<const float> weights_;
  DecoderBatch batch_;
  std::vector<int32_t> tokens_;
  int64_t rows_ = 0;
  Checkpointing checkpointing_ = Checkpointing::none;
  kernels::AlignedFloats cos_sin_;  // [tokens][head_dim]

  std::vector<Saved> saved_;              // [layers], or a single one that every layer reuses
  Saved shared_;                          // of one layer, with full checkpointing
  Activations x_, normed_;                // the residual stream; the same after a norm
  Activations act_, dgate_up_, gate_up_;  // of one block of the MLP's rows
  Activations dx_, dnormed_, dqkv_, dattended_;
  kernels::AlignedFloats padded_weight_, partial_;
};

}  // namespace longshot::model::cpu
