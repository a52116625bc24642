#pragma once
// A linear layer of a training step, with or without a low-rank adapter next to its weight (LoRA,
// Hu et al., 2106.09685): y = x W^T + bias + s (x A^T) B^T. The adapter of a weight adds only
// products with `rank` columns. No [out, in] gradient exists if the weight itself is not trained.

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/products/dense.h"
#include "model/cpu/activations.h"

namespace longshot::model::cpu {

struct LowRank {
  int rank = 0;
  float scale = 1;  // s
};

// Arrays in Hugging Face's order. Null if there is no such array or, among gradients, if it is not
// trained.
template <typename T>
struct LinearArrays {
  T *weight = nullptr, *bias = nullptr;    // [out, in], [out]
  T *lora_a = nullptr, *lora_b = nullptr;  // [rank, in], [out, rank]; both or none
  LowRank low_rank;                        // of the adapter
};

// One of several layers that read the same x. It owns the columns [column, column + out) of y.
struct LinearPart {
  const LinearArrays<const float>* w;
  const LinearArrays<float>* gradients;  // needed only by the backward functions
  int column, out;
};

// Not thread-safe. `pool` is borrowed. products: f32 or bf16, see kernels/products/dense.h.
class Linear {
 public:
  Linear(ThreadPool& pool, NumberFormat products) : dense_(pool, products) {}

  // y [rows, out] is set to, or increased by, the layer's output for x [rows, in], for every part.
  void forward(kernels::ConstRows x, int64_t rows, std::span<const LinearPart> parts, int in,
               kernels::Rows y, kernels::Store store);
  void forward(kernels::ConstRows x, int64_t rows, const LinearArrays<const float>& w, int out,
               int in, kernels::Rows y, kernels::Store store) {
    const LinearPart part{&w, nullptr, 0, out};
    forward(x, rows, {&part, 1}, in, y, store);
  }
  // Sets dx [rows, in] to the sum over the parts of the gradient of x, given dy [rows, out].
  void input_gradient(kernels::ConstRows dy, int64_t rows, std::span<const LinearPart> parts,
                      int in, kernels::Rows dx);
  // Given dy [rows, out] and x, adds to the gradients that are not null.
  void weight_gradient(kernels::ConstRows dy, kernels::ConstRows x, int64_t rows,
                       std::span<const LinearPart> parts, int in);
  void backward(kernels::ConstRows dy, kernels::ConstRows x, int64_t rows,
                std::span<const LinearPart> parts, int in, kernels::Rows dx) {
    weight_gradient(dy, x, rows, parts, in);
    input_gradient(dy, rows, parts, in, dx);
  }
  void backward(kernels::ConstRows dy, kernels::ConstRows x, int64_t rows,
                const LinearArrays<const float>& w, int out, int in,
                const LinearArrays<float>& gradients, kernels::Rows dx) {
    const LinearPart part{&w, &gradients, 0, out};
    backward(dy, x, rows, {&part, 1}, in, dx);
  }

  int64_t activation_bytes() const { return inner_.bytes() + dinner_.bytes(); }

 private:
  void adapter_gradient(kernels::ConstRows dy, kernels::ConstRows x, int64_t rows,
                        const LinearPart& part, int in);
  // inner_ = s x A^T.
  void project(kernels::ConstRows x, int64_t rows, const LinearArrays<const float>& w, int in);
  // dinner_ = s dy B.
  void project_back(kernels::ConstRows dy, int64_t rows, const LinearArrays<const float>& w,
                    int out);

  kernels::Dense dense_;
  Activations inner_, dinner_;  // [rows, rank]
};

}  // namespace longshot::model::cpu
