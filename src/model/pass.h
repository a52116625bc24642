#pragma once
// The input and the output of a pass over a model, as plain arrays. Torch-free.

#include <cstdint>
#include <span>
#include <vector>

#include "model/format/config.h"

namespace longshot::model {

// Several sequences laid end to end, never padded. Attention is causal within each one. A sequence
// may continue another one, whose tokens are then stored only once for all continuations.
struct PackedBatch {
  std::vector<int32_t> tokens;  // [total]
  // [total], restarting in each sequence at 0, or after the last position of the sequence it
  // continues
  std::vector<int32_t> positions;
  std::vector<int64_t> boundaries;  // [sequences + 1], starts at 0, ends at total

  // [sequences] index of the earlier sequence that this one continues, or -1 for none. That
  // sequence must not continue another one itself. Empty if no sequence continues another.
  std::vector<int> prompts;

  void append(std::span<const int32_t> sequence) { append(sequence, -1); }
  void append(std::span<const int32_t> sequence, int prompt);
  int prompt_of(int64_t sequence) const { return prompts.empty() ? -1 : prompts[sequence]; }
  int64_t total() const { return static_cast<int64_t>(tokens.size()); }
  // The number of (query, key) pairs that see each other, averaged over the model's layers.
  double pairs(const ModelConfig& config) const;
  int64_t sequences() const {
    return boundaries.empty() ? 0 : static_cast<int64_t>(boundaries.size()) - 1;
  }
};

// The tokens of a batch whose log-probabilities a pass computes: the hidden state at the row
// predictors[i] predicts targets[i]. Borrowed.
struct Predictions {
  const PackedBatch& batch;
  std::span<const int64_t> predictors;  // [targets] rows of the batch, in any order
  std::span<const int32_t> targets;     // [targets]
  double temperature = 1;               // > 0
};

struct TokenLogprobs {
  std::vector<float> logprobs;  // [targets] log softmax(logits / temperature)[target]
  std::vector<float> entropy;   // [targets] of that distribution, nats; empty unless requested
};

// Size limits of the passes over many rows.
struct PassSize {
  int64_t tokens;  // of a pass
  // Rows with the same prompt may together have max(tokens, prompts * prompt length) tokens.
  int64_t prompts = 0;
  bool share_prompts = false;  // whether rows with equal prompts may share one copy of it
};

}  // namespace longshot::model
