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
#include "kernels/rows/row_ops.h"
#include "model/cpu/activations.h"
#include "model/cpu/expert_mlp.h"
#include "model/cpu/layer_arrays.h"
#include "model/cpu/linear.h"
#include "model/cpu/rotations.h"
#include "model/cpu/row_tasks.h"
#include "model/format/config.h"

namespace longshot::model::cpu {

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
    Activations attention_branch, mlp_branch;  // before the norms after attention and MLP
    std::vector<kernels::Routing> routings;    // of a layer with experts, block by block
  };

  // The layers that read the same rows. `g` may be null in a forward pass.
  std::array<LinearPart, 3> qkv_parts(const LayerArrays<const float>& w,
                                      const LayerArrays<float>* g) const;
  std::array<LinearPart, 2> gate_up_parts(const LayerArrays<const float>& w,
                                          const LayerArrays<float>* g) const;
  void attention_forward(int layer, Saved& s);
  kernels::ConstRows mlp_rows(int layer, Saved& s, int64_t begin, int64_t rows,
                              kernels::Rows gate_up);
  void mlp_forward(int layer, Saved& s, bool keep, Activations& out);
  void mlp_backward(int layer, Saved& s, const LayerArrays<float>& g);
  // The same for layers with experts.
  void experts_forward(int layer, Saved& s, bool keep, Activations& out);
  void experts_backward(int layer, Saved& s, const LayerArrays<float>& g);
  void mlp_branch_again(int layer, int64_t rows, kernels::Rows gate_up);
  void attention_backward(int layer, Saved& s, const LayerArrays<float>& g);
  void embed(Activations& x);
  void rotate(int layer, kernels::Rows qkv, bool back);

  // Rows [begin, begin + rows) of the stream as attention or MLP reads them: normed, into normed_,
  // or as they are.
  kernels::ConstRows input_rows(const Activations& stream, const float* norm_weight, int64_t begin,
                                int64_t rows);
  // Adds the gradient of these rows to that of the stream, dx_.
  void input_rows_backward(const Activations& stream, const float* norm_weight, int64_t begin,
                           int64_t rows, const Activations& dinput, float* dweight);
  // out = in + residual_multiplier * branch, which is normed if the model norms after a layer.
  void add_branch(kernels::ConstRows in, kernels::ConstRows branch, const float* norm_weight,
                  int64_t rows, kernels::Rows out);
  // The gradient at the branch, given that at add_branch()'s `out`, which it may be itself.
  kernels::ConstRows add_branch_backward(kernels::ConstRows branch, const float* norm_weight,
                                         int64_t rows, kernels::ConstRows dout, float* dweight);

  // Norms over parts of each row of queries and keys.
  struct NormSpan {
    int column, width;
    bool query;
  };
  std::vector<NormSpan> qk_spans() const;
  void qk_norms(int layer, Saved& s);
  void qk_norms_backward(int layer, const Saved& s, const LayerArrays<float>& g);
  // The weight of a norm over `width`, padded for the kernels.
  void load_norm_weight(const float* weight, int width, kernels::AlignedFloats& out) const;
  void norm(const Activations& in, const float* weight, int64_t begin, int64_t rows,
            Activations& out);
  // Adds to dx and dweight.
  void norm_backward(kernels::ConstRows in, const float* weight, int64_t rows,
                     kernels::ConstRows dout, kernels::Rows dx, float* dweight);
  void for_rows(int64_t rows, const std::function<void(int64_t begin, int64_t end)>& body) {
    cpu::for_rows(pool_, rows, body);
  }

  int hidden_width() const { return config_.hidden_size; }
  int query_width() const { return config_.num_heads * config_.head_dim; }
  int kv_width() const { return config_.num_kv_heads * config_.head_dim; }
  int up_column() const { return kernels::round_up(config_.intermediate_size, kernels::kLane); }
  const LayerArrays<const float>& weights(int layer) const { return weights_.layers[layer]; }
  kernels::Gate gate() const {
    return config_.facts.activation == Activation::silu ? kernels::Gate::silu
                                                        : kernels::Gate::gelu_tanh;
  }

  ModelConfig config_;
  Linear linear_;
  ExpertMlp experts_;
  kernels::PackedAttention attention_;
  ThreadPool& pool_;

  // State of the current pass.
  DecoderArrays<const float> weights_;
  DecoderBatch batch_;
  std::vector<int32_t> tokens_;
  int64_t rows_ = 0;
  Checkpointing checkpointing_ = Checkpointing::none;
  kernels::AlignedFloats cos_sin_, local_cos_sin_;  // [tokens][rotary width]

  std::vector<Saved> saved_;              // [layers], or a single one that every layer reuses
  Saved shared_;                          // of one layer, with full checkpointing
  Activations x_, normed_;                // the residual stream; the same after a norm
  Activations act_, dgate_up_, gate_up_;  // of one block of the MLP's rows
  Activations expert_gate_up_;            // the same for layers with experts
  Activations dx_, dnormed_, dqkv_, dattended_;
  Activations branch_, dscaled_, dbranch_;  // of a layer whose result is not added as it is
  kernels::AlignedFloats padded_weight_, partial_;
};

}  // namespace longshot::model::cpu
