#include "model/torch/logprob.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "base/check.h"
#include "model/torch/layers.h"

namespace longshot::model {
namespace {

// Rows [begin, end) of the problem.
struct Chunk {
  at::Tensor hidden;       // [rows, width]
  at::Tensor targets;      // [rows, 1]
  at::Tensor log_softmax;  // [rows, vocab] log softmax(logits / temperature)
  at::Tensor cap_slope;    // [rows, vocab] of capped logits; undefined without a cap
};

// Works in place. at::log_softmax adds the exponentials of a row in a few long chains, which loses
// 1.5e-5 on average for a vocabulary of 49,152; at::sum adds them as a tree.
void log_softmax_(at::Tensor& logits) {
  logits.sub_(logits.amax(-1, /*keepdim=*/true));
  logits.sub_(logits.exp().sum(-1, /*keepdim=*/true).log_());
}

Chunk compute_chunk(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                    const LogitForm& form, int64_t begin, int64_t end) {
  Chunk chunk{hidden.slice(0, begin, end), targets.slice(0, begin, end).unsqueeze(1), {}, {}};
  at::Tensor logits = logits_at(chunk.hidden, head);
  if (form.cap > 0) {
    logits.div_(form.cap).tanh_();
    chunk.cap_slope = 1 - logits * logits;
    logits.mul_(form.cap);
  }
  if (form.temperature != 1.0) logits.div_(form.temperature);
  log_softmax_(logits);
  chunk.log_softmax = std::move(logits);
  return chunk;
}

at::Tensor target_tensor(std::span<const int32_t> targets, const at::Tensor& hidden,
                         const at::Tensor& head) {
  LS_CHECK(static_cast<int64_t>(targets.size()) == hidden.size(0), "one target for each row");
  for (int32_t id : targets)
    LS_CHECK(id >= 0 && id < head.size(0), "target outside the vocabulary");
  return index_tensor({targets.begin(), targets.end()}, hidden.device());
}

void append_host(const at::Tensor& values, std::vector<float>& out) {  // values: [rows]
  const at::Tensor host = values.to(at::kCPU).contiguous();
  const float* data = host.const_data_ptr<float>();
  out.insert(out.end(), data, data + host.numel());
}

at::Tensor on_device(std::span<const float> values, const at::Tensor& like) {
  return at::tensor(at::ArrayRef<float>(values.data(), values.size()),
                    at::TensorOptions().dtype(at::kFloat))
      .to(like.device());
}

// d entropy / d logit = -p (log p + entropy), times `scale` [rows, 1].
at::Tensor entropy_logit_gradient(const at::Tensor& log_softmax, const at::Tensor& scale) {
  const at::Tensor p = log_softmax.exp();
  const at::Tensor entropy = (p * log_softmax).sum(-1, /*keepdim=*/true).neg();
  return (log_softmax + entropy).mul_(p).mul_(-scale);
}

}  // namespace

at::Tensor logits_at(const at::Tensor& hidden, const at::Tensor& head) {
  return at::matmul(hidden, head.t());
}

TokenLogprobs token_logprobs(const at::Tensor& hidden, const at::Tensor& head,
                             std::span<const int32_t> targets, const LogitForm& form,
                             bool with_entropy, int64_t chunk_rows) {
  LS_CHECK(form.temperature > 0 && chunk_rows > 0, "temperature and chunk size must be positive");
  at::NoGradGuard no_grad;
  const int64_t rows = hidden.size(0);
  const at::Tensor ids = target_tensor(targets, hidden, head);
  TokenLogprobs result;
  for (int64_t begin = 0; begin < rows; begin += chunk_rows) {
    const Chunk chunk =
        compute_chunk(hidden, head, ids, form, begin, std::min(rows, begin + chunk_rows));
    append_host(chunk.log_softmax.gather(1, chunk.targets).squeeze(1), result.logprobs);
    if (with_entropy) {
      append_host((chunk.log_softmax.exp() * chunk.log_softmax).sum(-1).neg(), result.entropy);
    }
  }
  return result;
}

at::Tensor token_logprobs_backward(const at::Tensor& hidden, at::Tensor& head,
                                   std::span<const int32_t> targets, const LogitForm& form,
                                   const LogprobGradient& grad, int64_t chunk_rows) {
  LS_CHECK(form.temperature > 0 && chunk_rows > 0, "temperature and chunk size must be positive");
  LS_CHECK(grad.logprobs.size() == targets.size(), "one gradient for each target");
  at::NoGradGuard no_grad;
  const int64_t rows = hidden.size(0);
  const at::Tensor ids = target_tensor(targets, hidden, head);
  const at::Tensor gradient = on_device(grad.logprobs, hidden),
                   entropy_gradient = on_device(grad.entropy, hidden);
  at::Tensor& head_grad = head.mutable_grad();
  if (head.requires_grad() && !head_grad.defined()) head_grad = at::zeros_like(head);
  at::Tensor grad_hidden = at::empty(hidden.sizes(), hidden.options().requires_grad(false));
  for (int64_t begin = 0; begin < rows; begin += chunk_rows) {
    const int64_t end = std::min(rows, begin + chunk_rows);
    const Chunk chunk = compute_chunk(hidden, head, ids, form, begin, end);
    // d loss / d logits = g / temperature * (onehot - softmax). Each row has one target, so the
    // scatter is exact.
    const at::Tensor scale = gradient.slice(0, begin, end).unsqueeze(1) / form.temperature;
    at::Tensor grad_logits = chunk.log_softmax, of_entropy;
    if (!grad.entropy.empty()) {
      of_entropy = entropy_logit_gradient(
          grad_logits, entropy_gradient.slice(0, begin, end).unsqueeze(1) / form.temperature);
    }
    grad_logits.exp_().mul_(-scale).scatter_add_(1, chunk.targets, scale);
    if (of_entropy.defined()) grad_logits.add_(of_entropy);
    if (chunk.cap_slope.defined()) grad_logits.mul_(chunk.cap_slope);
    grad_hidden.slice(0, begin, end).copy_(at::matmul(grad_logits, head));
    if (head.requires_grad()) head_grad.addmm_(grad_logits.t(), chunk.hidden);
  }
  return grad_hidden;
}

}  // namespace longshot::model
