#include "train/optimizer/moments.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "kernels/rows/adamw_rounded.h"
#include "train/optimizer/block.h"

namespace longshot::train {
namespace {

constexpr int64_t kSmallest8Bit = 4096;

bool is_in_bytes(NumberFormat format, int64_t elements) {
  return format == NumberFormat::int8 && elements >= kSmallest8Bit;
}

template <typename T>
T* data_of(const at::Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

}  // namespace

bool is_flat(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.is_contiguous() && tensor.scalar_type() == at::kFloat;
}

Moments::Moments(std::string name, const at::Tensor& weight, NumberFormat format)
    : Moments(std::move(name), weight, format, 0, weight.numel()) {}

Moments::Moments(std::string name, const at::Tensor& weight, NumberFormat format, int64_t begin,
                 int64_t end)
    : name_(std::move(name)), begin_(begin), end_(end) {
  LS_CHECK(begin % kernels::kMomentBlock == 0, "a piece begins with a block of the moments");
  const bool bytes = is_in_bytes(format, weight.numel());
  const auto type = bytes ? at::kByte : format == NumberFormat::bf16 ? at::kBFloat16 : at::kFloat;
  LS_CHECK(type == at::kFloat || is_flat(weight), "moments in few bits are for weights on the CPU");
  const auto options = at::TensorOptions().device(weight.device());
  const int64_t elements = end - begin;
  const auto shape =
      elements == weight.numel() ? weight.sizes().vec() : std::vector<int64_t>{elements};
  first_ = at::zeros(shape, options.dtype(type));
  second_ = at::zeros(shape, options.dtype(type));
  if (!bytes) return;
  const int64_t blocks = (elements + kernels::kMomentBlock - 1) / kernels::kMomentBlock;
  first_scale_ = at::zeros({blocks}, options.dtype(at::kFloat));
  second_scale_ = at::zeros({blocks}, options.dtype(at::kFloat));
}

std::vector<Moments::Part> Moments::parts() const {
  std::vector<Part> parts = {{"exp_avg/" + name_, first_}, {"exp_avg_sq/" + name_, second_}};
  if (!first_scale_.defined()) return parts;
  parts.push_back({"exp_avg_scale/" + name_, first_scale_, kernels::kMomentBlock});
  parts.push_back({"exp_avg_sq_scale/" + name_, second_scale_, kernels::kMomentBlock});
  return parts;
}

size_t Moments::part_count(NumberFormat format, int64_t elements) {
  return is_in_bytes(format, elements) ? 4 : 2;
}

void Moments::reset() {
  for (const Part& part : parts()) part.tensor.zero_();
}

int64_t Moments::bytes() const {
  int64_t total = 0;
  for (const Part& part : parts()) total += static_cast<int64_t>(part.tensor.nbytes());
  return total;
}

void Moments::update(kernels::AdamWStep step, uint32_t key, const at::Tensor& gradient,
                     at::Tensor& weight) {
  if (weight.dim() < 2) step.decay = 0;  // norms and biases
  if (!is_flat(weight) || !is_flat(gradient)) {
    if (end_ - begin_ == weight.numel()) return update_generic(step, gradient, weight);
    at::Tensor piece = weight.view({-1}).slice(0, begin_, end_);
    return update_generic(step, gradient.reshape({-1}).slice(0, begin_, end_), piece);
  }
  const int64_t count = end_ - begin_;
  float* w = weight.mutable_data_ptr<float>() + begin_;
  const float* g = gradient.const_data_ptr<float>() + begin_;
  at::parallel_for(
      0, (count + kOptimizerBlock - 1) / kOptimizerBlock, 1, [&](int64_t begin, int64_t end) {
        const int64_t at = begin * kOptimizerBlock, n = std::min(end * kOptimizerBlock, count) - at;
        if (first_.scalar_type() == at::kFloat) {
          kernels::adamw(step, g + at, n, w + at, data_of<float>(first_) + at,
                         data_of<float>(second_) + at);
        } else if (first_.scalar_type() == at::kBFloat16) {
          kernels::adamw_bf16(step, key, begin_ + at, g + at, n, w + at,
                              data_of<uint16_t>(first_) + at, data_of<uint16_t>(second_) + at);
        } else {
          const int64_t block = at / kernels::kMomentBlock;
          kernels::adamw_bytes(
              step, key, begin_ + at, g + at, n, w + at,
              {data_of<uint8_t>(first_) + at, data_of<uint8_t>(second_) + at,
               data_of<float>(first_scale_) + block, data_of<float>(second_scale_) + block});
        }
      });
}

void Moments::update_generic(const kernels::AdamWStep& step, const at::Tensor& raw,
                             at::Tensor& weight) {
  const at::Tensor gradient = step.gradient_scale == 1 ? raw : raw.mul(step.gradient_scale);
  if (step.decay != 0) weight.mul_(1.0 - static_cast<double>(step.lr) * step.decay);
  first_.lerp_(gradient, 1.0 - step.beta1);
  second_.mul_(step.beta2).addcmul_(gradient, gradient, 1.0 - step.beta2);
  const at::Tensor denominator = second_.sqrt().div_(step.root_correction2).add_(step.eps);
  weight.addcdiv_(first_, denominator, -static_cast<double>(step.lr) / step.correction1);
}

}  // namespace longshot::train
