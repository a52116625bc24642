#pragma once
// AdamW's moments of one weight, in f32, bfloat16 or 8 bits (kernels/rows/adamw_rounded.h). Not thread-safe.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/rows/adamw.h"

namespace longshot::train {

// Blocks of one task; a sum over them is in order, whatever the number of threads.
constexpr int64_t kOptimizerBlock = int64_t{1} << 18;

// Whether a tensor is what the kernels work on: f32, contiguous, on the CPU.
bool is_flat(const at::Tensor& tensor);

class Moments {
 public:
  // All 0. format: "float32", "bfloat16", "int8"; the last two need a flat weight. In 8 bits, weights of fewer than
  // 4,096 elements keep f32, as in bitsandbytes.
  Moments(std::string name, const at::Tensor& weight, const std::string& format);

  const std::string& name() const { return name_; }
  void reset();
  int64_t bytes() const;
  // One step on the weight. step.decay is that of weights with more than one dimension. `key`: of the random rounding.
  void update(kernels::AdamWStep step, uint32_t key, const at::Tensor& gradient,
              at::Tensor& weight);

  // What a file has to hold: "exp_avg/NAME" and so on, as f32, bf16 or u8. The tensors are the moments themselves.
  struct Part {
    std::string name;
    at::Tensor tensor;
  };
  std::vector<Part> parts() const;

 private:
  void update_generic(const kernels::AdamWStep& step, const at::Tensor& gradient,
                      at::Tensor& weight);

  std::string name_;
  at::Tensor first_, second_;              // the weight's shape
  at::Tensor first_scale_, second_scale_;  // 8 bits: [blocks]
};

}  // namespace longshot::train
