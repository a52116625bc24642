#pragma once
// A linear layer of a training step, with or without a low-rank adapter beside its weight (LoRA, Hu et al., 2106.09685):
// y = x W^T + bias + s (x A^T) B^T. What adapts a weight costs products with `rank` columns only; no [out, in] gradient
// exists where the weight itself is not trained.

#include <cstdint>

#include "kernels/dense.h"
#include "model/cpu/activations.h"

namespace longshot::model::cpu {

// Arrays in Hugging Face's order. Null: there is no such array, or, of gradients, it is not trained.
template <typename T>
struct LinearArrays {
  T *weight = nullptr, *bias = nullptr;    // [out, in], [out]
  T *lora_a = nullptr, *lora_b = nullptr;  // [rank, in], [out, rank]; both or none
};

struct LowRank {
  int rank = 0;
  float scale = 1;  // s
};

// Not thread-safe. `pool` is borrowed.
class Linear {
 public:
  explicit Linear(ThreadPool& pool) : dense_(pool) {}

  // Of all the adapters there are.
  void set_low_rank(LowRank low_rank) { low_rank_ = low_rank; }

  // y [rows, out] = , or +=, the layer of x [rows, in].
  void forward(kernels::ConstRows x, int64_t rows, const LinearArrays<const float>& w, int out,
               int in, kernels::Rows y, kernels::Store store);
  // From dy [rows, out]: adds to the gradients that exist; dx [rows, in] is set or added to.
  void backward(kernels::ConstRows dy, kernels::ConstRows x, int64_t rows,
                const LinearArrays<const float>& w, int out, int in,
                const LinearArrays<float>& gradients, kernels::Rows dx, kernels::Store store);

  int64_t activation_bytes() const { return inner_.bytes() + dinner_.bytes(); }

 private:
  void scale_rows(kernels::Rows values, int64_t rows) const;
  // s x A^T into inner_.
  void project(kernels::ConstRows x, int64_t rows, const float* a, int in);

  kernels::Dense dense_;
  LowRank low_rank_;
  Activations inner_, dinner_;  // [rows, rank]
};

}  // namespace longshot::model::cpu
