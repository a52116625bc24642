#pragma once
// Log-probabilities of chosen tokens and their gradient on the CPU, fused with the output head.
// forward() and backward() hold the logits of only one block of the vocabulary at a time;
// forward_backward() holds those of a chunk of rows. Computes the same function as
// model/torch/logprob.h, against which it is tested.
//
// Results do not depend on the number of threads, and the log-probability of a row does not depend
// on the other rows.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/products/dense.h"

namespace longshot::model::cpu {

// Not thread-safe. Arguments are borrowed only during a call.
class Head {
 public:
  // products: f32 or bf16. Logits, and everything computed from them, are f32.
  explicit Head(ThreadPool& pool, NumberFormat products = NumberFormat::f32)
      : pool_(pool), products_(products), dense_(pool, products) {}

  struct Problem {
    kernels::ConstRows hidden;         // [rows, width]
    std::span<const int32_t> targets;  // [rows]
    const float* weight = nullptr;     // [vocab, width]
    int vocab = 0, width = 0;
    float temperature = 1;
    float cap = 0;  // products become cap * tanh(product / cap), before the temperature; 0: none
  };

  // Quantities of log softmax(logits / temperature); logits are hidden weight^T, capped.
  struct Output {
    std::vector<float> logprobs;  // [rows] at the target
    std::vector<float> log_sums;  // [rows] log sum exp, which backward() needs
    std::vector<float> entropy;   // [rows] nats; empty unless requested
  };
  Output forward(const Problem& p, bool with_entropy);

  // What backward() needs of forward(), and the gradient of the loss, each [rows].
  struct Differential {
    std::span<const float> log_sums;
    std::span<const float> entropy;       // read only where entropy_grad is not empty
    std::span<const float> grad;          // d loss / d logprobs
    std::span<const float> entropy_grad;  // d loss / d entropy; empty: all 0
  };
  // Writes dhidden [rows, width] and adds to dweight [vocab, width] if it is not null.
  void backward(const Problem& p, const Differential& d, kernels::Rows dhidden, float* dweight);

  // forward() and backward() in one, for a `grad` that is known before the log-probabilities, as in
  // supervised training. The logits are computed only once, and kept for up to 768 rows at a time.
  Output forward_backward(const Problem& p, std::span<const float> grad, bool with_entropy,
                          kernels::Rows dhidden, float* dweight);

  // bytes() is the memory of the logits and their gradients that is allocated now; chunk_bytes() is
  // what forward_backward() of `rows` rows needs, in bytes.
  int64_t bytes() const {
    return static_cast<int64_t>((logits_.size() + gradients_.size()) * sizeof(float));
  }
  static int64_t chunk_bytes(int64_t rows, int vocab);

 private:
  void pack(const Problem& p, int first, int count, kernels::PanelBuffer& panels);
  // The logits of rows [begin, begin + rows) of the packed block, [rows][stride].
  static void block_logits(const Problem& p, const kernels::PanelBuffer& panels, int count,
                           int64_t begin, int64_t rows, float* block, size_t stride);
  void for_rows(int64_t rows, const std::function<void(int64_t begin, int64_t end)>& body);

  ThreadPool& pool_;
  NumberFormat products_;
  kernels::Dense dense_;
  kernels::PanelBuffer panels_;
  void forward_backward_chunk(const Problem& p, std::span<const float> grad, bool with_entropy,
                              int64_t begin, int64_t rows, kernels::Rows dhidden, float* dweight,
                              Output& out);
  // Turns the logits [rows][stride] of one block into d loss / d logits.
  void to_gradients(const Problem& p, int first, int count, int64_t begin, int64_t rows,
                    const Differential& d, float* block, size_t stride);
  void multiply_gradients(const Problem& p, int first, int count, int64_t begin, int64_t rows,
                          kernels::ConstRows block, kernels::Rows dhidden, float* dweight);

  kernels::AlignedFloats logits_;  // for a chunk of rows, [rows, vocab]
  // with respect to the logits of one block of the vocabulary, [rows, block]
  kernels::AlignedFloats gradients_;
};

}  // namespace longshot::model::cpu
