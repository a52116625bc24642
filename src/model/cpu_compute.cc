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

// Returns null for a name that does not exist.
template <typename T>
using Find = std::function<T*(const std::string&)>;

template <typename T>
cpu::LinearArrays<T> linear_arrays(const Weights& weights, const Find<T>& find, int layer,
                                   Role role, int expert = 0) {
  const RowsOfModule rows = rows_of(weights.config(), layer, role, expert);
  const LoraOptions lora = weights.lora(rows.module);
  // The roles of a fused matrix share its A, to whose gradient each of them adds.
  const auto part = [&](const std::string& name, int64_t width) {
    T* whole = find(name);
    return whole == nullptr ? nullptr : whole + rows.first * width;
  };
  return {part(weight_of(rows.module), rows.columns),
          part(bias_of(rows.module), 1),
          find(rows.module + ".lora_A.weight"),
          part(rows.module + ".lora_B.weight", lora.rank),
          {lora.rank, static_cast<float>(lora.scale())}};
}

template <typename T>
cpu::LayerArrays<T> layer_arrays(const Weights& weights, const Find<T>& find, int layer) {
  const ModelConfig& config = weights.config();
  const auto norm = [&](Role role) {
    return shape_of(config, role).exists ? find(weight_of(module_of(config, layer, role)))
                                         : nullptr;
  };
  const auto linear = [&](Role role, int expert = 0) {
    return linear_arrays(weights, find, layer, role, expert);
  };
  cpu::LayerArrays<T> l;
  l.attention_norm = norm(Role::attention_norm);
  l.mlp_norm = norm(Role::mlp_norm);
  l.attention_post_norm = norm(Role::attention_post_norm);
  l.mlp_post_norm = norm(Role::mlp_post_norm);
  l.q_norm = norm(Role::q_norm);
  l.k_norm = norm(Role::k_norm);
  l.q = linear(Role::q);
  l.k = linear(Role::k);
  l.v = linear(Role::v);
  l.out = linear(Role::out);
  if (!config.has_experts(layer)) {
    l.gate = linear(Role::gate);
    l.up = linear(Role::up);
    l.down = linear(Role::down);
    return l;
  }
  l.router = linear(Role::router);
  for (int e = 0; e < config.experts.count; ++e) {
    l.experts.push_back(
        {linear(Role::expert_gate, e), linear(Role::expert_up, e), linear(Role::expert_down, e)});
  }
  return l;
}

// Collects the arrays by the model's names.
template <typename T>
cpu::DecoderArrays<T> arrays(const Weights& weights, const Find<T>& find) {
  cpu::DecoderArrays<T> out;
  out.embedding = find(weight_of(names::kEmbedding));
  out.final_norm = find(weight_of(names::kFinalNorm));
  for (int i = 0; i < weights.config().num_layers; ++i)
    out.layers.push_back(layer_arrays(weights, find, i));
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

// More tokens overflow the last-level cache with the activations of a layer; fewer do not amortize
// packing the weights.
constexpr int64_t kPassTokens = 1024;
// An expert computes only a share of a pass's tokens, so a model with experts gets longer passes,
// by at most this factor.
constexpr int64_t kMostTimes = 4;
constexpr int64_t kPassPrompts = 16;  // recomputing a prompt costs at most 1/16 of the pass

cpu::Checkpointing checkpointing_of(const ModelConfig& config, const CpuCompute::Options& options,
                                    int64_t tokens) {
  return options.checkpointing.value_or(
      cpu::choose_checkpointing(config, tokens, options.activation_limit));
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

CpuCompute::CpuCompute(Weights& weights, const Options& options)
    : Compute(weights),
      config_(weights.config()),
      options_(options),
      pool_(options.threads),
      decoder_(std::in_place, config_, pool_, options.products),
      head_(std::in_place, pool_, options.products) {}

PassSize CpuCompute::size_of_pass(const ModelConfig& config, int64_t wanted) {
  if (wanted > 0) return {.tokens = wanted, .share_prompts = true};
  const int64_t share =
      config.experts.count == 0
          ? 1
          : std::min<int64_t>(kMostTimes, config.experts.count / config.experts.per_token);
  return {.tokens = share * kPassTokens, .prompts = kPassPrompts, .share_prompts = true};
}

int64_t CpuCompute::forecast_bytes(const ModelConfig& config, const Options& options,
                                   int64_t tokens, int64_t targets, int lora_rank) {
  const auto mode = checkpointing_of(config, options, tokens);
  const int64_t row = kernels::row_stride(config.hidden_size) * int64_t{sizeof(float)};
  return cpu::activation_bytes(config, tokens, mode, lora_rank) +
         cpu::Head::chunk_bytes(targets, config.vocab_size) + (tokens + 2 * targets) * row;
}

void CpuCompute::free_activations() {
  most_bytes_ = activation_bytes();
  decoder_.emplace(config_, pool_, options_.products);
  head_.emplace(pool_, options_.products);
  for (cpu::Activations* a : {&gathered_, &dgathered_, &dcorrection_, &dhidden_}) a->free();
}

int64_t CpuCompute::bytes_now() const {
  return decoder_->activation_bytes() + gathered_.bytes() + dgathered_.bytes() +
         dcorrection_.bytes() + dhidden_.bytes() + head_->bytes();
}

void CpuCompute::run_layers(const PackedBatch& batch, std::span<const int64_t> rows,
                            bool for_backward) {
  batch_ = &batch;
  rows_ = rows;
  kept_ = for_backward;
  families_ = families_of(batch);
  const auto find = [&](const std::string& name) { return values_of(weights(), name); };
  decoder_->forward(arrays<const float>(weights(), find),
                    {batch.tokens, batch.positions, &families_},
                    checkpointing_of(config_, options_, batch.total()), for_backward);
  gathered_.reset(static_cast<int64_t>(rows.size()), config_.hidden_size);
  const kernels::ConstRows hidden = decoder_->hidden();
  for (size_t i = 0; i < rows.size(); ++i)
    std::copy_n(hidden.row(rows[i]), config_.hidden_size, gathered_.row(static_cast<int64_t>(i)));
}

kernels::ConstRows CpuCompute::hidden(const PackedBatch& batch, std::span<const int64_t> rows,
                                      bool for_backward) {
  const at::NoGradGuard no_grad;
  predictions_.reset();
  run_layers(batch, rows, for_backward);
  return std::as_const(gathered_).rows();
}

cpu::Head::Problem CpuCompute::head_problem() const {
  return {.hidden = gathered_.rows(),
          .targets = predictions_->targets,
          .weight = values_of(weights(), head_name(config_)),
          .vocab = config_.vocab_size,
          .width = config_.hidden_size,
          // logits / logits_scaling / temperature; a model has a scaling or a cap, never both
          .temperature = static_cast<float>(predictions_->temperature * config_.logits_scaling),
          .cap = static_cast<float>(config_.logit_softcap)};
}

TokenLogprobs CpuCompute::logprobs(const Predictions& predictions, const LogprobOptions& options) {
  const at::NoGradGuard no_grad;
  predictions_.emplace(predictions);
  expected_gradient_ = options.expected_gradient;
  run_layers(predictions.batch, predictions.predictors, options.for_backward);
  cpu::Head::Output out;
  if (!expected_gradient_.empty()) {
    LS_CHECK(options.for_backward, "an expected gradient is for a backward pass");
    dgathered_.reset(static_cast<int64_t>(rows_.size()), config_.hidden_size);
    out = head_->forward_backward(head_problem(), expected_gradient_, options.with_entropy,
                                  dgathered_.rows(), gradient_of(weights(), head_name(config_)));
  } else {
    out = head_->forward(head_problem(), options.with_entropy);
  }
  log_sums_ = std::move(out.log_sums);
  entropies_ = out.entropy;
  return {std::move(out.logprobs), std::move(out.entropy)};
}

// Adds the head's gradient for the difference from the expected one: it is linear in d loss / d
// logprobs.
void CpuCompute::correct_head(std::span<const float> grad) {
  std::vector<float> difference(grad.size());
  for (size_t i = 0; i < grad.size(); ++i) difference[i] = grad[i] - expected_gradient_[i];
  const auto rows = static_cast<int64_t>(grad.size());
  dcorrection_.reset(rows, config_.hidden_size);
  head_->backward(head_problem(), {log_sums_, {}, difference, {}}, dcorrection_.rows(),
                  gradient_of(weights(), head_name(config_)));
  for (int64_t r = 0; r < rows; ++r) {
    float* out = dgathered_.row(r);
    const float* in = dcorrection_.row(r);
    for (int e = 0; e < config_.hidden_size; ++e) out[e] += in[e];
  }
}

void CpuCompute::backward(std::span<const float> grad, std::span<const float> entropy_grad) {
  const at::NoGradGuard no_grad;
  LS_CHECK(predictions_.has_value() && kept_, "backward() of a pass that kept nothing");
  LS_CHECK(entropy_grad.empty() || (expected_gradient_.empty() && !entropies_.empty()),
           "a gradient of entropies needs them, and no expected gradient");
  if (expected_gradient_.empty()) {
    dgathered_.reset(static_cast<int64_t>(grad.size()), config_.hidden_size);
    head_->backward(head_problem(), {log_sums_, entropies_, grad, entropy_grad}, dgathered_.rows(),
                    gradient_of(weights(), head_name(config_)));
  } else if (!std::ranges::equal(grad, expected_gradient_)) {
    correct_head(grad);
  }
  differentiate_layers(std::as_const(dgathered_).rows());
}

void CpuCompute::backward_hidden(kernels::ConstRows grad) {
  const at::NoGradGuard no_grad;
  LS_CHECK(!predictions_.has_value() && kept_, "backward_hidden() of a pass that kept nothing");
  differentiate_layers(grad);
}

void CpuCompute::differentiate_layers(kernels::ConstRows grad) {
  kept_ = false;
  const int hidden = config_.hidden_size;
  const cpu::DecoderArrays<float> gradients = arrays<float>(
      weights(), [&](const std::string& name) { return gradient_of(weights(), name); });
  dhidden_.reset(batch_->total(), hidden);
  for (int64_t r = 0; r < batch_->total(); ++r) std::fill_n(dhidden_.row(r), hidden, 0.0f);
  for (size_t i = 0; i < rows_.size(); ++i) {
    float* out = dhidden_.row(rows_[i]);
    const float* in = grad.row(static_cast<int64_t>(i));
    for (int e = 0; e < hidden; ++e) out[e] += in[e];
  }
  decoder_->backward(dhidden_.rows(), gradients);
}

}  // namespace longshot::model
