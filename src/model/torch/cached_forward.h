#pragma once
// Generation with a key-value cache on any device: the layers of forward.h with a different
// attention. The results of a sequence may differ in the last bits depending on the other sequences
// of the call (f32 rounding of other GEMM shapes).

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/weights.h"

namespace longshot::model {

struct KvCache {
  std::vector<at::Tensor> k, v;  // per layer [blocks, block_tokens, kv_heads, head_dim]
};

// All zeros: attention multiplies masked entries by zero, so they must be finite.
KvCache make_kv_cache(const ModelConfig& config, int blocks, int block_tokens,
                      const std::string& device);

void copy_block(KvCache& cache, int from, int to);

// Tokens that follow the `start` tokens that are already cached in `blocks`. Each block has
// block_tokens positions, and there must be room for the new tokens. A step has at least one token.
// Within a call, a block that a step writes to must not be in any other step, unless both write the
// same.
struct CachedStep {
  std::span<const int> blocks;
  int start = 0;
  std::span<const int32_t> tokens;
  int wanted = 1;  // number of hidden states, those of the last tokens
};

// Stores the steps' keys and values in the cache and returns the hidden state (after the final
// norm) of the wanted tokens of each step, [wanted tokens, hidden]. Records no gradient.
at::Tensor cached_hidden(const Weights& weights, KvCache& cache, std::span<const CachedStep> steps);

}  // namespace longshot::model
