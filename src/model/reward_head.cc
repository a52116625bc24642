#include "model/reward_head.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"
#include "model/sequence_logprobs.h"

namespace longshot::model {
namespace {

const std::string kHead = "score.weight";

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
  if (shared == 0 || !share_prompts_) {
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

ScorePass::ScorePass(Compute& compute, const ScoreBatch& batch, bool for_backward)
    : compute_(compute),
      hidden_(compute.hidden(batch.packed(), batch.rows(), for_backward)),
      head_(compute.weights().at(kHead).detach().to(at::kCPU).contiguous()) {
  for (size_t s = 0; s < batch.rows().size(); ++s)
    scores_.push_back(static_cast<float>(
        dot(hidden_.row(static_cast<int64_t>(s)), head_.const_data_ptr<float>(), head_.size(1))));
}

void ScorePass::add_head_gradient(std::span<const float> grad) {
  const at::NoGradGuard no_grad;
  at::Tensor& head = compute_.weights().at(kHead);
  if (!head.requires_grad()) return;
  at::Tensor sum = at::zeros_like(head_);
  for (int64_t e = 0; e < head_.size(1); ++e) {
    double total = 0;
    for (size_t s = 0; s < grad.size(); ++s)
      total += static_cast<double>(grad[s]) * hidden_.row(static_cast<int64_t>(s))[e];
    sum.mutable_data_ptr<float>()[e] = static_cast<float>(total);
  }
  at::Tensor& out = head.mutable_grad();
  out = out.defined() ? out.add(sum.to(head.device())) : sum.to(head.device());
}

void ScorePass::backward(std::span<const float> grad) {
  LS_CHECK(grad.size() == scores_.size(), "one derivative per sequence");
  add_head_gradient(grad);
  const auto width = static_cast<size_t>(head_.size(1));
  const float* head = head_.const_data_ptr<float>();
  std::vector<float> dhidden(grad.size() * width);
  for (size_t s = 0; s < grad.size(); ++s) {
    for (size_t e = 0; e < width; ++e) dhidden[s * width + e] = grad[s] * head[e];
  }
  compute_.backward_hidden({dhidden.data(), width});
}

std::vector<float> sequence_scores(Compute& compute,
                                   const std::vector<std::vector<int32_t>>& sequences,
                                   int64_t batch_tokens) {
  std::vector<float> out;
  for (size_t begin = 0; begin < sequences.size();) {
    const size_t end = batch_end(sequences, begin, batch_tokens);
    ScoreBatch batch(compute.weights().config().pad_token_id, /*share_prompts=*/false);
    for (size_t s = begin; s < end; ++s) batch.append(sequences[s]);
    const std::vector<float> scores = ScorePass(compute, batch, /*for_backward=*/false).scores();
    out.insert(out.end(), scores.begin(), scores.end());
    begin = end;
  }
  return out;
}

}  // namespace longshot::model
