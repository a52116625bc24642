#include "model/reward_head.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"
#include "model/sequence_logprobs.h"
#include "model/torch/layers.h"

namespace longshot::model {
namespace {

const std::string kHead = "score.weight";

at::Tensor copy_of(kernels::ConstRows rows, int64_t count, int64_t width) {
  at::Tensor out = at::empty({count, width}, at::TensorOptions().dtype(at::kFloat));
  for (int64_t r = 0; r < count; ++r)
    std::copy_n(rows.row(r), width, out.mutable_data_ptr<float>() + r * width);
  return out;
}

double dot(const float* a, const float* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

}  // namespace

double score_probability(double score) {
  return 1 / (1 + std::exp(-score));
}

int64_t scored_position(std::span<const int32_t> tokens, std::optional<int> padding) {
  for (size_t t = tokens.size(); t > 0; --t) {
    if (!padding || tokens[t - 1] != *padding) return static_cast<int64_t>(t) - 1;
  }
  return 0;
}

void ScoreBatch::append(std::span<const int32_t> tokens) {
  append(tokens, 0, -1);
}

void ScoreBatch::append_pair(std::span<const int32_t> first, std::span<const int32_t> second) {
  const auto shared = static_cast<size_t>(std::ranges::mismatch(first, second).in1 - first.begin());
  if (shared == 0) {
    append(first);
    return append(second);
  }
  const auto prompt = static_cast<int>(packed_.sequences());
  packed_.append(first.first(shared));
  append(first, shared, prompt);
  append(second, shared, prompt);
}

void ScoreBatch::append(std::span<const int32_t> tokens, size_t shared, int prompt) {
  LS_CHECK(!tokens.empty(), "an empty sequence has no score");
  const int64_t own = packed_.total() - static_cast<int64_t>(shared);
  if (tokens.size() > shared) packed_.append(tokens.subspan(shared), prompt);
  const int64_t position = scored_position(tokens, padding_);
  const bool in_prompt = position < static_cast<int64_t>(shared);
  rows_.push_back(position + (in_prompt ? packed_.boundaries[prompt] : own));
  unshared_ += static_cast<int64_t>(tokens.size());
}

ScorePass::ScorePass(CpuCompute* compute, Weights& weights, const ScoreBatch& batch,
                     cpu::Checkpointing checkpointing)
    : compute_(compute), weights_(weights) {
  const std::vector<int64_t>& rows = batch.rows();
  const auto count = static_cast<int64_t>(rows.size());
  const int64_t width = weights.config().hidden_size;
  host_head_ = weights.at(kHead).detach().to(at::kCPU).contiguous();
  if (compute != nullptr) {
    host_hidden_ =
        copy_of(compute->forward_hidden(weights, {.batch = &batch.packed(),
                                                  .predictors = &rows,
                                                  .for_backward = at::GradMode::is_enabled(),
                                                  .checkpointing = checkpointing}),
                count, width);
  } else {
    gathered_ = hidden_states(weights, batch.packed())
                    .index_select(0, index_tensor(rows, weights.device()));
    host_hidden_ = gathered_.detach().to(at::kCPU).contiguous();
  }
  for (int64_t s = 0; s < count; ++s)
    scores_.push_back(static_cast<float>(dot(host_hidden_.const_data_ptr<float>() + s * width,
                                             host_head_.const_data_ptr<float>(), width)));
}

void ScorePass::add_head_gradient(const std::vector<float>& grad) {
  at::Tensor& head = weights_.at(kHead);
  if (!head.requires_grad()) return;
  const int64_t width = host_head_.size(1);
  at::Tensor sum = at::zeros_like(host_head_);
  for (int64_t e = 0; e < width; ++e) {
    double total = 0;
    for (size_t s = 0; s < grad.size(); ++s)
      total += static_cast<double>(grad[s]) *
               host_hidden_.const_data_ptr<float>()[static_cast<int64_t>(s) * width + e];
    sum.mutable_data_ptr<float>()[e] = static_cast<float>(total);
  }
  at::Tensor& out = head.mutable_grad();
  out = out.defined() ? out.add(sum.to(head.device())) : sum.to(head.device());
}

void ScorePass::backward(const std::vector<float>& grad) {
  LS_CHECK(grad.size() == scores_.size(), "one derivative per sequence");
  {
    const at::NoGradGuard no_grad;
    add_head_gradient(grad);
  }
  const auto count = static_cast<int64_t>(grad.size());
  const int64_t width = host_head_.size(1);
  at::Tensor dhidden = at::empty({count, width}, at::TensorOptions().dtype(at::kFloat));
  for (int64_t s = 0; s < count; ++s) {
    float* out = dhidden.mutable_data_ptr<float>() + s * width;
    for (int64_t e = 0; e < width; ++e) out[e] = grad[s] * host_head_.const_data_ptr<float>()[e];
  }
  if (compute_ != nullptr) {
    compute_->backward_hidden(weights_,
                              {dhidden.const_data_ptr<float>(), static_cast<size_t>(width)});
  } else if (gathered_.requires_grad()) {  // false if only the head is trained
    gathered_.backward(dhidden.to(gathered_.device()));
  }
  gathered_.reset();
}

std::vector<float> sequence_scores(CpuCompute* compute, Weights& weights,
                                   const std::vector<std::vector<int32_t>>& sequences,
                                   int64_t batch_tokens) {
  const at::NoGradGuard no_grad;
  std::vector<float> out;
  for (size_t begin = 0; begin < sequences.size();) {
    const size_t end = batch_end(sequences, begin, batch_tokens);
    ScoreBatch batch(weights.config().pad_token_id);
    for (size_t s = begin; s < end; ++s) batch.append(sequences[s]);
    const std::vector<float> scores = ScorePass(compute, weights, batch).scores();
    out.insert(out.end(), scores.begin(), scores.end());
    begin = end;
  }
  return out;
}

}  // namespace longshot::model
