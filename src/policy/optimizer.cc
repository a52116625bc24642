#include "policy/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>

#include <array>
#include <cmath>
#include <utility>

#include "base/log.h"
#include "policy/schedule.h"

namespace longshot::policy {
namespace {

// Sum of squares in double with a fixed order: independent of the number of threads, never
// overflows f32 values.
double sum_of_squares(const float* values, int64_t count) {
  std::array<double, 8> lanes{};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int l = 0; l < 8; ++l) {
      const double v = values[i + l];
      lanes[static_cast<size_t>(l)] += v * v;
    }
  }
  double sum = 0;
  for (; i < count; ++i) sum += static_cast<double>(values[i]) * values[i];
  for (const double lane : lanes) sum += lane;
  return sum;
}

double squared_norm(const at::Tensor& grad) {
  if (grad.is_cpu() && grad.is_contiguous()) {
    return sum_of_squares(grad.const_data_ptr<float>(), grad.numel());
  }
  const double norm = at::linalg_vector_norm(grad, 2, {}, false, at::kDouble).item<double>();
  return norm * norm;
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
