#pragma once
// Log-probabilities of chosen tokens and their gradient without a [total, vocab] tensor: the head
// runs on chunks of rows, and the backward pass recomputes each chunk's logits and applies d log p
// = (onehot - softmax).

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "model/pass.h"

namespace longshot::model {

// Logits of each row, [n, vocab]. For a few rows only, such as the last token of each step.
at::Tensor logits_at(const at::Tensor& hidden, const at::Tensor& head);

// What becomes of hidden head^T before the softmax: cap * tanh(x / cap) if there is a cap, then a
// division by the temperature, which is above 0.
struct LogitForm {
  LogitForm(double divisor, double soft_cap = 0) : temperature(divisor), cap(soft_cap) {}
  double temperature, cap;
};

// hidden: [n, hidden] (already gathered at the positions that matter); head: [vocab, hidden];
// targets: [n]. No gradient is recorded.
TokenLogprobs token_logprobs(const at::Tensor& hidden, const at::Tensor& head,
                             std::span<const int32_t> targets, const LogitForm& form,
                             bool with_entropy, int64_t chunk_rows = 512);

// d loss / d logprobs[i], and d loss / d entropy[i] or nothing if these are 0; [n] each.
struct LogprobGradient {
  std::span<const float> logprobs, entropy = {};
};

// Returns d loss / d hidden, [n, hidden], and adds d loss / d head to head.grad (creating it if
// undefined).
at::Tensor token_logprobs_backward(const at::Tensor& hidden, at::Tensor& head,
                                   std::span<const int32_t> targets, const LogitForm& form,
                                   const LogprobGradient& grad, int64_t chunk_rows = 512);

}  // namespace longshot::model
