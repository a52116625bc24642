#pragma once
// Forward and backward of the decoder layers on the CPU: packed sequences, shared prompts, and as many activations kept
// as asked for. The same function as hidden_states() of model/forward.h, which it is tested against, with hand-written
// gradients on the kernels of kernels/.
//
// Gradients do not depend on the number of threads.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/dense.h"
#include "kernels/packed_attention.h"
#include "model/format/config.h"

namespace longshot::model::cpu {

// What the forward pass keeps for the backward pass, of each layer and token.
enum class Checkpointing {
  none,       // everything that takes a product to compute
  selective,  // not the inner activations of the MLP
  full,       // only the layer's input
};

constexpr int64_t kMlpRows =
    2048;  // tokens whose inner activations of the MLP exist at once, unless all are kept

// Memory of the activations of a pass over so many tokens, all that Decoder allocates, in bytes.
int64_t activation_bytes(const ModelConfig& config, int64_t tokens, Checkpointing checkpointing);
// The one that computes least again among those that fit `bytes`; full if none does.
Checkpointing choose_checkpointing(const ModelConfig& config, int64_t tokens, int64_t bytes);

// Arrays in Hugging Face's order [out, in]. Null: the model has no such weight, or, of gradients, it is not trained.
template <typename T>
struct LayerArrays {
  T *attention_norm = nullptr, *mlp_norm = nullptr, *q_norm = nullptr, *k_norm = nullptr;
  T *q = nullptr, *k = nullptr, *v = nullptr, *out = nullptr, *gate = nullptr, *up = nullptr,
    *down = nullptr;
  T *q_bias = nullptr, *k_bias = nullptr, *v_bias = nullptr, *out_bias = nullptr;
  T *gate_bias = nullptr, *up_bias = nullptr, *down_bias = nullptr;
};
template <typename T>
struct DecoderArrays {
  T *embedding = nullptr, *final_norm = nullptr;
  std::vector<LayerArrays<T>> layers;
};

struct DecoderBatch {
  std::span<const int32_t> tokens, positions;    // [tokens]
  const std::vector<kernels::Family>* families;  // cover every token once
};

// Rows of activations; grows, never shrinks, and knows its size.
class Activations {
 public:
  void reset(int64_t rows, int width);
  void free();
  int64_t bytes() const { return static_cast<int64_t>(data_.size() * sizeof(float)); }
  kernels::Rows rows() { return {data_.data(), stride_}; }
  kernels::ConstRows rows() const { return {data_.data(), stride_}; }
  float* row(int64_t r) { return rows().row(r); }
  const float* row(int64_t r) const { return rows().row(r); }

 private:
  kernels::AlignedFloats data_;
  size_t stride_ = 0;
};

// Not thread-safe. One forward(), then at most one backward() of it.
class Decoder {
 public:
  Decoder(const ModelConfig& config, ThreadPool& pool);

  // Keeps what backward() needs, or nothing without `for_backward`. The arrays of `weights` are borrowed until then.
  void forward(const DecoderArrays<const float>& weights, const DecoderBatch& batch,
               Checkpointing checkpointing, bool for_backward);
  // After the final norm, [tokens, hidden].
  kernels::ConstRows hidden() const { return normed_.rows(); }
  // From the gradient at hidden(), [tokens, hidden]; adds to `gradients`.
  void backward(kernels::Rows dhidden, const DecoderArrays<float>& gradients);

  int64_t activation_bytes() const;

 private:
  struct Saved {
    Activations x, qkv, raw, attended, log_sums, middle, gate_up;
  };

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
  void linear_backward(kernels::ConstRows dy, kernels::ConstRows x, int64_t rows, const float* w,
                       int n, int k, float* dw, float* dbias, kernels::Rows dx,
                       kernels::Store store);
  void for_rows(int64_t rows, const std::function<void(int64_t begin, int64_t end)>& body);

  int hidden_width() const { return config_.hidden_size; }
  int query_width() const { return config_.num_heads * config_.head_dim; }
  int kv_width() const { return config_.num_kv_heads * config_.head_dim; }
  int up_column() const { return kernels::round_up(config_.intermediate_size, kernels::kLane); }
  const LayerArrays<const float>& weights(int layer) const { return weights_.layers[layer]; }

  ModelConfig config_;
  kernels::Dense dense_;
  kernels::PackedAttention attention_;
  ThreadPool& pool_;

  // Of the present pass.
  DecoderArrays<const float> weights_;
  DecoderBatch batch_;
  std::vector<int32_t> tokens_;
  int64_t rows_ = 0;
  Checkpointing checkpointing_ = Checkpointing::none;
  kernels::AlignedFloats cos_sin_;  // [tokens][head_dim]

  std::vector<Saved> saved_;                     // [layers], or one that every layer uses
  Activations x_, normed_;                       // the residual stream; after a norm
  Activations act_, dact_, dgate_up_, gate_up_;  // of a block of rows of the MLP
  Activations dx_, dnormed_, dqkv_, dattended_;
  kernels::AlignedFloats padded_weight_, partial_;
};

}  // namespace longshot::model::cpu
