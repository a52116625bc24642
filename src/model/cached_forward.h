#pragma once
// Generation with a key-value cache on any device: the same layers as forward.h, other attention.
// Results of a sequence may differ in the last bits with what else is in the call (f32 rounding of
// other GEMM shapes).

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/weights.h"

namespace longshot::model {

struct KvCache {
  std::vector<at::Tensor> k, v;  // per layer [slots, kv_heads, max_sequence, head_dim]
};

// All zeros: attention multiplies masked entries by zero, so they must be finite.
KvCache make_kv_cache(const ModelConfig& config, int slots, int max_sequence,
                      const std::string& device);

// Copies the first `length` cached tokens of slot `from` to slot `to`.
void copy_prefix(KvCache& cache, int from, int to, int length);

// Tokens that follow the `start` tokens already cached in `slot`. At least one; a slot may occur
// once a call.
struct CachedStep {
  int slot = 0;
  int start = 0;
  std::span<const int32_t> tokens;
};

// Stores the steps' keys and values in the cache and returns the hidden state (after the final
// norm) of the last token of each step, [steps, hidden]. Records no gradient.
at::Tensor cached_hidden(const Weights& weights, KvCache& cache, std::span<const CachedStep> steps);

}  // namespace longshot::model
