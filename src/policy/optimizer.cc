#include "policy/optimizer.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/log.h"
#include "kernels/adamw.h"
#include "policy/schedule.h"

namespace longshot::policy {
namespace {

// Blocks of one task; the sum over them is in order, whatever the number of threads.
constexpr int64_t kBlock = int64_t{1} << 18;

bool is_flat(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.is_contiguous() && tensor.scalar_type() == at::kFloat;
}

double squared_norm(const at::Tensor& grad) {
  if (!is_flat(grad)) {
    const double norm = at::linalg_vector_norm(grad, 2, {}, false, at::kDouble).item<double>();
    return norm * norm;
  }
  const float* values = grad.const_data_ptr<float>();
  std::vector<double> sums((grad.numel() + kBlock - 1) / kBlock);
  at::parallel_for(0, static_cast<int64_t>(sums.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      sums[b] =
          kernels::sum_of_squares(values + b * kBlock, std::min(kBlock, grad.numel() - b * kBlock));
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

AdamW::AdamW(const model::Weights& weights, OptimizerOptions options, int64_t total_steps)
    : options_(std::move(options)), total_steps_(total_steps) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : weights.tensors()) {
    LS_CHECK(!tensor.is_inference(),
             name + " was made under InferenceMode and never gets a gradient");
    moments_.push_back({name, at::zeros_like(tensor), at::zeros_like(tensor)});
  }
}

void AdamW::reset() {
  const at::NoGradGuard no_grad;
  for (auto& m : moments_) {
    m.exp_avg.zero_();
    m.exp_avg_sq.zero_();
  }
  moment_steps_ = 0;
}

Result<AdamW::Step> AdamW::step(model::Weights& weights) {
  const at::NoGradGuard no_grad;
  LS_CHECK(weights.tensors().size() == moments_.size(), "the optimizer belongs to other weights");
  Step out;
  out.lr = learning_rate(options_, schedule_steps_++, total_steps_);
  double total = 0;
  for (const auto& [name, tensor] : weights.tensors()) {
    if (!tensor.grad().defined()) {
      return internal_error(
          fmt::format("{} has no gradient: it takes no part in the forward pass", name));
    }
    const double squared = squared_norm(tensor.grad());
    if (!std::isfinite(squared) && out.non_finite_name.empty()) out.non_finite_name = name;
    total += squared;
  }
  out.grad_norm = std::sqrt(total);
  if (!out.non_finite_name.empty()) {
    out.skipped = true;
    ++skipped_steps_;
    log::warn("optimizer step {} skipped: the gradient of {} is not finite", schedule_steps_,
              out.non_finite_name);
  } else {
    // torch.nn.utils.clip_grad_norm_ divides by norm + 1e-6 too.
    const bool clip = options_.clip_grad > 0 && out.grad_norm > options_.clip_grad;
    const double scale = clip ? options_.clip_grad / (out.grad_norm + 1e-6) : 1.0;
    ++moment_steps_;
    for (size_t i = 0; i < moments_.size(); ++i) {
      auto& [name, tensor] = weights.tensors()[i];
      LS_CHECK(name == moments_[i].name, "the optimizer belongs to other weights");
      update(tensor, tensor.grad(), moments_[i], out.lr, scale);
    }
  }
  weights.zero_grad();
  return out;
}

void AdamW::update(at::Tensor& weight, const at::Tensor& raw_grad, Moments& m, double lr,
                   double grad_scale) {
  const auto t = static_cast<double>(moment_steps_);
  const double correction1 = 1.0 - std::pow(options_.beta1, t);
  const double correction2 = 1.0 - std::pow(options_.beta2, t);
  if (is_flat(weight) && is_flat(raw_grad)) {
    const kernels::AdamWStep step{
        .lr = static_cast<float>(lr),
        .beta1 = static_cast<float>(options_.beta1),
        .beta2 = static_cast<float>(options_.beta2),
        .eps = static_cast<float>(options_.eps),
        .decay = static_cast<float>(weight.dim() > 1 ? options_.weight_decay : 0),
        .gradient_scale = static_cast<float>(grad_scale),
        .correction1 = static_cast<float>(correction1),
        .root_correction2 = static_cast<float>(std::sqrt(correction2))};
    float *w = weight.mutable_data_ptr<float>(), *first = m.exp_avg.mutable_data_ptr<float>(),
          *second = m.exp_avg_sq.mutable_data_ptr<float>();
    const float* g = raw_grad.const_data_ptr<float>();
    at::parallel_for(0, (weight.numel() + kBlock - 1) / kBlock, 1, [&](int64_t begin, int64_t end) {
      const int64_t at = begin * kBlock, count = std::min(end * kBlock, weight.numel()) - at;
      kernels::adamw(step, g + at, count, w + at, first + at, second + at);
    });
    return;
  }
  const at::Tensor grad = grad_scale == 1.0 ? raw_grad : raw_grad.mul(grad_scale);
  const bool decays = weight.dim() > 1;  // norms and biases have one dimension

  if (decays && options_.weight_decay != 0) weight.mul_(1.0 - lr * options_.weight_decay);
  m.exp_avg.lerp_(grad, 1.0 - options_.beta1);
  m.exp_avg_sq.mul_(options_.beta2).addcmul_(grad, grad, 1.0 - options_.beta2);
  const at::Tensor denominator =
      m.exp_avg_sq.sqrt().div_(std::sqrt(correction2)).add_(options_.eps);
  weight.addcdiv_(m.exp_avg, denominator, -lr / correction1);
}

}  // namespace longshot::policy
