#pragma once
// The choice of experts for the rows of a block, and its gradient.
//
// With p = softmax(logits) of a row, the row passes through the k experts with the largest p. Their
// weights are w = p, or p / s if they are normalized, where s is the sum of these p.

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/products/dense.h"

namespace longshot::kernels {

struct ExpertChoice {
  int experts = 0, per_token = 0;
  bool normalized = true;
};

// An entry is a row at one of its experts. Entries are ordered by expert, then by row.
struct Routing {
  std::vector<int64_t> begin;      // [experts + 1] the first entry of each expert
  std::vector<int32_t> token;      // [entries] its row
  std::vector<float> weight;       // [entries]
  std::vector<int32_t> entry;      // [rows * per_token] the entries of each row
  std::vector<float> probability;  // [rows * experts]

  int64_t entries() const { return static_cast<int64_t>(token.size()); }
  int64_t bytes() const;
};

// logits: [rows, experts]. Among equal experts the first is chosen.
Routing route(const ExpertChoice& experts, ConstRows logits, int64_t rows);
// Sets the gradient at the logits, [rows, experts], given that at each entry's weight, [entries].
void route_backward(const ExpertChoice& experts, const Routing& routing,
                    std::span<const float> dweights, int64_t rows, Rows dlogits);

}  // namespace longshot::kernels
