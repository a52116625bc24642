#pragma once
// The rotary embedding's cosines and sines for the tokens of a pass.

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/attention/packed_attention.h"
#include "model/format/config.h"

namespace longshot::model::cpu {

struct DecoderBatch {
  std::span<const int32_t> tokens, positions;          // [tokens]
  const std::vector<kernels::PromptFamily>* families;  // together they cover every token once
};

// Writes cos_sin [tokens][cosines, sines], rotary_width() numbers for each token, computed in
// double. A sequence longer than the rope's steady length must not share its prompt (LS_CHECKed).
void fill_rotations(const ModelConfig& config, const DecoderBatch& batch, ThreadPool& pool,
                    kernels::AlignedFloats& cos_sin);
// The same for layers with a window in a model where these have a theta of their own.
void fill_local_rotations(const ModelConfig& config, const DecoderBatch& batch, ThreadPool& pool,
                          kernels::AlignedFloats& cos_sin);

}  // namespace longshot::model::cpu
