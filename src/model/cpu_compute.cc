#include "model/cpu_compute.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "base/check.h"
#include "model/format/architecture.h"

namespace longshot::model {
namespace {

// Collects the arrays by the model's names. `find` returns null for a name that does not exist.
template <typename T>
cpu::DecoderArrays<T> arrays(const Weights& weights,
                             const std::function<T*(const std::string&)>& find) {
  cpu::DecoderArrays<T> out;
  out.embedding = find(weight_of(names::kEmbedding));
  out.final_norm = find(weight_of(names::kFinalNorm));
  for (int i = 0; i < weights.config().num_layers; ++i) {
    const auto get = [&](Role role) { return find(weight_of(module_of(i, role))); };
    cpu::LayerArrays<T>& l = out.layers.emplace_back();
    l.attention_norm = get(Role::attention_norm);
    l.mlp_norm = get(Role::mlp_norm);
    l.q_norm = get(Role::q_norm);
    l.k_norm = get(Role::k_norm);
    const auto linear = [&](Role role) {
      const std::string name = module_of(i, role);
      const LoraOptions lora = weights.lora(name);
      return cpu::LinearArrays<T>{find(weight_of(name)),
                                  find(bias_of(name)),
                                  find(name + ".lora_A.weight"),
                                  find(name + ".lora_B.weight"),
                                  {lora.rank, static_cast<float>(lora.scale())}};
    };
    l.q = linear(Role::q);
    l.k = linear(Role::k);
    l.v = linear(Role::v);
    l.out = linear(Role::out);
    l.gate = linear(Role::gate);
    l.up = linear(Role::up);
    l.down = linear(Role::down);
  }
  return out;
}

const float* values_of(const Weights& weights, const std::string& name) {
  const at::Tensor* tensor = weights.find(name);
  return tensor == nullptr ? nullptr : tensor->const_data_ptr<float>();
}

// Null for a weight that is not trained. Otherwise its gradient, created as zero if it did not
// exist.
float* gradient_of(Weights& weights, const std::string& name) {
  const at::Tensor* tensor = std::as_const(weights).find(name);
  if (tensor == nullptr || !tensor->requires_grad()) return nullptr;
  at::Tensor& grad = const_cast<at::Tensor*>(tensor)->mutable_grad();
  if (!grad.defined()) grad = at::zeros_like(*tensor);
  return grad.mutable_data_ptr<float>();
}

std::string head_name(const ModelConfig& config) {
  return weight_of(head_module(config));
}

std::vector<kernels::PromptFamily> families_of(const PackedBatch& batch) {
  std::vector<kernels::PromptFamily> families;
  std::vector<size_t> of(batch.sequences());
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int prompt = batch.prompt_of(s);
    of[s] = prompt < 0 ? families.size() : of[prompt];
    if (prompt < 0) families.emplace_back();
    families[of[s]].members.push_back({batch.boundaries[s], batch.boundaries[s + 1]});
  }
  return families;
}

}  // namespace

bool CpuCompute::supports(const Weights& weights) {
  return std::ranges::all_of(weights.tensors(), [](const NamedTensor& w) {
    return w.tensor.is_cpu() && w.tensor.is_contiguous() && w.tensor.scalar_type() == at::kFloat;
  });
}

CpuCompute::CpuCompute(const ModelConfig& config, int threads, NumberFormat products)
    : config_(config), pool_(threads), decoder_(config, pool_, products), head_(pool_, products) {}

cpu::Head::Problem CpuCompute::problem(const Weights& weights) const {
  return {.hidden = gathered_.rows(),
          .targets = *request_.targets,
          .weight = values_of(weights, head_name(config_)),
          .vocab = config_.vocab_size,
          .width = config_.hidden_size,
          .temperature = static_cast<float>(request_.temperature)};
}

int64_t CpuCompute::activation_bytes() const {
  return decoder_.activation_bytes() + gathered_.bytes() + dgathered_.bytes() +
         dcorrection_.bytes() + dhidden_.bytes() + head_.bytes();
}

kernels::ConstRows CpuCompute::forward_hidden(Weights& weights, const Request& request) {
  const at::NoGradGuard no_grad;
  request_ = request;
  families_ = families_of(*request.batch);
  const auto find = [&](const std::string& name) { return values_of(weights, name); };
  decoder_.forward(arrays<const float>(weights, find),
                   {request.batch->tokens, request.batch->positions, &families_},
                   request.checkpointing, request.for_backward);
  const std::vector<int64_t>& predictors = *request.predictors;
  const auto rows = static_cast<int64_t>(predictors.size());
  gathered_.reset(rows, config_.hidden_size);
  const kernels::ConstRows hidden = decoder_.hidden();
  for (int64_t i = 0; i < rows; ++i)
    std::copy_n(hidden.row(predictors[i]), config_.hidden_size, gathered_.row(i));
  return std::as_const(gathered_).rows();
}

TokenLogprobs CpuCompute::forward(Weights& weights, const Request& request) {
  const at::NoGradGuard no_grad;
  forward_hidden(weights, request);
  const auto rows = static_cast<int64_t>(request.predictors->size());
  cpu::Head::Output out;
  if (request.expected_gradient != nullptr) {
    LS_CHECK(request.for_backward, "an expected gradient is for a backward pass");
    dgathered_.reset(rows, config_.hidden_size);
    out = head_.forward_backward(problem(weights), *request.expected_gradient, request.with_entropy,
                                 dgathered_.rows(), gradient_of(weights, head_name(config_)));
  } else {
    out = head_.forward(problem(weights), request.with_entropy);
  }
  log_sums_ = std::move(out.log_sums);
  return {std::move(out.logprobs), std::move(out.entropy)};
}

// Adds the head's gradient for the difference from the expected one: it is linear in d loss / d
// logprobs.
void CpuCompute::correct_head(Weights& weights, const std::vector<float>& grad) {
  const auto rows = static_cast<int64_t>(grad.size());
  std::vector<float> difference(grad.size());
  for (size_t i = 0; i < grad.size(); ++i)
    difference[i] = grad[i] - (*request_.expected_gradient)[i];
  dcorrection_.reset(rows, config_.hidden_size);
  head_.backward(problem(weights), log_sums_, difference, dcorrection_.rows(),
                 gradient_of(weights, head_name(config_)));
  for (int64_t r = 0; r < rows; ++r) {
    float* out = dgathered_.row(r);
    const float* in = dcorrection_.row(r);
    for (int e = 0; e < config_.hidden_size; ++e) out[e] += in[e];
  }
}

void CpuCompute::backward(Weights& weights, const std::vector<float>& grad) {
  const at::NoGradGuard no_grad;
  if (request_.expected_gradient == nullptr) {
    dgathered_.reset(static_cast<int64_t>(grad.size()), config_.hidden_size);
    head_.backward(problem(weights), log_sums_, grad, dgathered_.rows(),
                   gradient_of(weights, head_name(config_)));
  } else if (grad != *request_.expected_gradient) {
    correct_head(weights, grad);
  }
  backward_hidden(weights, std::as_const(dgathered_).rows());
}

void CpuCompute::backward_hidden(Weights& weights, kernels::ConstRows grad) {
  const at::NoGradGuard no_grad;
  LS_CHECK(request_.for_backward, "backward() of a pass that kept nothing");
  request_.for_backward = false;
  const std::vector<int64_t>& predictors = *request_.predictors;
  const auto rows = static_cast<int64_t>(predictors.size());
  const int hidden = config_.hidden_size;
  const cpu::DecoderArrays<float> gradients =
      arrays<float>(weights, [&](const std::string& name) { return gradient_of(weights, name); });
  dhidden_.reset(request_.batch->total(), hidden);
  for (int64_t r = 0; r < request_.batch->total(); ++r) std::fill_n(dhidden_.row(r), hidden, 0.0f);
  for (int64_t i = 0; i < rows; ++i) {
    float* out = dhidden_.row(predictors[i]);
    const float* in = grad.row(i);
    for (int e = 0; e < hidden; ++e) out[e] += in[e];
  }
  decoder_.backward(dhidden_.rows(), gradients);
}

}  // namespace longshot::model
