#pragma once
// The reference forward pass, against which any faster path is tested.

#include <ATen/core/Tensor.h>

#include "model/pass.h"
#include "model/weights.h"

namespace longshot::model {

// Hidden states after the final norm, [total, hidden]. Differentiable unless called under
// NoGradGuard. No sequence of the batch may continue another one.
at::Tensor hidden_states(const Weights& weights, const PackedBatch& batch);

// The matrix of the output head, [vocab, hidden]: lm_head.weight or the tied embedding.
const at::Tensor& head_weight(const Weights& weights);
at::Tensor& head_weight(Weights& weights);

// The logits of each row of hidden states, [n, vocab]. For a few rows only, such as the last token
// of each step.
at::Tensor final_logits(const Weights& weights, const at::Tensor& hidden);

}  // namespace longshot::model
