#pragma once
// Log-probabilities of chosen tokens and their gradient on the CPU, fused with the output head: logits exist for one
// block of the vocabulary at a time. The same function as model/torch/logprob.h, which it is tested against.
//
// Results do not depend on the number of threads; a row's log-probability not on the other rows.

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/products/dense.h"

namespace longshot::model::cpu {

// Not thread-safe. Everything is borrowed during a call only.
class Head {
 public:
  // products: f32 or bf16; logits are f32 and so is what is made of them.
  explicit Head(ThreadPool& pool, NumberFormat products = NumberFormat::f32)
      : pool_(pool), products_(products), dense_(pool, products) {}

  struct Problem {
    kernels::ConstRows hidden;         // [rows, width]
    std::span<const int32_t> targets;  // [rows]
    const float* weight = nullptr;     // [vocab, width]
    int vocab = 0, width = 0;
    float temperature = 1;
  };

  // Of log softmax(hidden weight^T / temperature).
  struct Output {
    std::vector<float> logprobs;  // [rows] at the target
    std::vector<float> log_sums;  // [rows] log sum exp, which backward() needs
    std::vector<float> entropy;   // [rows] nats; empty unless asked for
  };
  Output forward(const Problem& p, bool with_entropy);

  // From grad[i] = d loss / d logprobs[i]: writes dhidden [rows, width], and adds to dweight [vocab, width] if not null.
  void backward(const Problem& p, std::span<const float> log_sums, std::span<const float> grad,
                kernels::Rows dhidden, float* dweight);

  // Both at once where `grad` is known before the log-probabilities are, as in supervised training: the logits are
  // computed once, and kept for some hundred rows at a time.
  Output forward_backward(const Problem& p, std::span<const float> grad, bool with_entropy,
                          kernels::Rows dhidden, float* dweight);

  // Memory of the logits and their gradients that it holds, and of those that forward_backward() of so many rows will.
  int64_t bytes() const {
    return static_cast<int64_t>((logits_.size() + gradients_.size()) * sizeof(float));
  }
  static int64_t chunk_bytes(int64_t rows, int vocab);

  // KL(softmax(p) || softmax(other)) of each row over the whole vocabulary, nats. `other` has the same rows and
  // vocabulary; its targets are ignored.
  std::vector<float> divergence(const Problem& p, const Problem& other);

 private:
  void pack(const Problem& p, int first, int count, kernels::PanelBuffer& panels);
  template <typename Body>
  void for_rows(int64_t rows, const Body& body);

  ThreadPool& pool_;
  NumberFormat products_;
  kernels::Dense dense_;
  kernels::PanelBuffer panels_, other_panels_;
  void forward_backward_chunk(const Problem& p, std::span<const float> grad, bool with_entropy,
                              int64_t begin, int64_t rows, kernels::Rows dhidden, float* dweight,
                              Output& out);
  // Logits [rows][stride] of one block become d loss / d logits.
  void to_gradients(const Problem& p, int first, int count, int64_t begin, int64_t rows,
                    std::span<const float> log_sums, std::span<const float> grad, float* block,
                    size_t stride);
  void multiply_gradients(const Problem& p, int first, int count, int64_t begin, int64_t rows,
                          kernels::ConstRows block, kernels::Rows dhidden, float* dweight);

  kernels::AlignedFloats logits_;     // of a chunk of rows, [rows, vocab]
  kernels::AlignedFloats gradients_;  // by the logits of one block of the vocabulary, [rows, block]
};

}  // namespace longshot::model::cpu
