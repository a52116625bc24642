#include "model/torch/torch_compute.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include <algorithm>

#include "base/check.h"
#include "model/torch/forward.h"
#include "model/torch/layers.h"
#include "model/torch/logprob.h"

namespace longshot::model {
namespace {

constexpr int64_t kPassTokens = 16384;  // libtorch parallelizes over tokens

// A model has a logits_scaling or a cap, never both.
LogitForm logit_form(const ModelConfig& config, double temperature) {
  return {temperature * config.logits_scaling, config.logit_softcap};
}

}  // namespace

TorchCompute::TorchCompute(Weights& weights, NumberFormat products) : Compute(weights) {
  weights.set_bf16_products(products == NumberFormat::bf16);
}

PassSize TorchCompute::size_of_pass(int64_t wanted) {
  return {.tokens = wanted > 0 ? wanted : kPassTokens};
}

at::Tensor TorchCompute::run_layers(const PackedBatch& batch, std::span<const int64_t> rows,
                                    bool for_backward) {
  const at::AutoGradMode mode(for_backward);
  gathered_.reset();
  const at::Tensor hidden = hidden_states(weights(), batch);  // [total, hidden]
  const at::Tensor gathered =
      at::index_select(hidden, 0, index_tensor({rows.begin(), rows.end()}, hidden.device()));
  if (for_backward) gathered_ = gathered;
  return gathered.detach();
}

TokenLogprobs TorchCompute::logprobs(const Predictions& p, const LogprobOptions& options) {
  predictions_.emplace(p);
  const at::Tensor hidden = run_layers(p.batch, p.predictors, options.for_backward);
  return token_logprobs(hidden, head_weight(weights()), p.targets,
                        logit_form(weights().config(), p.temperature), options.with_entropy);
}

void TorchCompute::backward(std::span<const float> grad, std::span<const float> entropy_grad) {
  LS_CHECK(predictions_.has_value() && gathered_.defined(),
           "backward() of a pass that kept nothing");
  differentiate_layers(token_logprobs_backward(
      gathered_.detach(), head_weight(weights()), predictions_->targets,
      logit_form(weights().config(), predictions_->temperature), {grad, entropy_grad}));
}

kernels::ConstRows TorchCompute::hidden(const PackedBatch& batch, std::span<const int64_t> rows,
                                        bool for_backward) {
  predictions_.reset();
  host_ = run_layers(batch, rows, for_backward).to(at::kCPU).contiguous();
  return {host_.const_data_ptr<float>(), static_cast<size_t>(host_.size(1))};
}

void TorchCompute::backward_hidden(kernels::ConstRows grad) {
  LS_CHECK(!predictions_.has_value() && gathered_.defined(),
           "backward_hidden() of a pass that kept nothing");
  const int64_t rows = gathered_.size(0), width = gathered_.size(1);
  const at::Tensor copy = at::empty({rows, width}, at::TensorOptions().dtype(at::kFloat));
  for (int64_t r = 0; r < rows; ++r)
    std::copy_n(grad.row(r), width, copy.mutable_data_ptr<float>() + r * width);
  differentiate_layers(copy.to(gathered_.device()));
}

void TorchCompute::differentiate_layers(const at::Tensor& grad) {
  // Needs no gradient if only the head is trained.
  if (gathered_.requires_grad()) gathered_.backward(grad);
  gathered_.reset();
}

}  // namespace longshot::model
