#pragma once
// AdamW's moments of one weight or of a piece of it, in f32, bfloat16 or 8 bits
// (kernels/rows/adamw_rounded.h). Not thread-safe.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/number_format.h"
#include "kernels/rows/adamw.h"

namespace longshot::train {

// True if the kernels can process the tensor: f32, contiguous, on the CPU.
bool is_flat(const at::Tensor& tensor);

class Moments {
 public:
  // Moments start at 0. format: f32, bf16 or int8; the last two need a flat weight. With int8,
  // weights of fewer than 4,096 elements have f32 moments, as in bitsandbytes. The moments of a
  // piece, which begins at a multiple of kernels::kMomentBlock, are the same bits as those elements
  // of the whole weight's.
  Moments(std::string name, const at::Tensor& weight, NumberFormat format);
  Moments(std::string name, const at::Tensor& weight, NumberFormat format, int64_t begin,
          int64_t end);

  const std::string& name() const { return name_; }
  int64_t begin() const { return begin_; }
  int64_t end() const { return end_; }
  void reset();
  int64_t bytes() const;
  // Takes one step on the weight, or on its piece. step.decay applies only to weights with more
  // than one dimension. `key` seeds the stochastic rounding.
  void update(kernels::AdamWStep step, uint32_t key, const at::Tensor& gradient,
              at::Tensor& weight);

  // The tensors to save, named "exp_avg/NAME" and so on, as f32, bf16 or u8. They are the moments
  // themselves, not copies. Those of a piece have one dimension.
  struct Part {
    std::string name;
    at::Tensor tensor;
    int64_t elements_each = 1;  // of the weight, that a value belongs to
  };
  std::vector<Part> parts() const;
  // Number of parts for a weight with `elements`.
  static size_t part_count(NumberFormat format, int64_t elements);

 private:
  void update_generic(const kernels::AdamWStep& step, const at::Tensor& gradient,
                      at::Tensor& weight);

  std::string name_;
  int64_t begin_, end_;
  at::Tensor first_, second_;              // the weight's shape, or [elements] of a piece
  at::Tensor first_scale_, second_scale_;  // 8 bits: [blocks]
};

}  // namespace longshot::train
