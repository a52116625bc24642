#pragma once
// The interface between scheduling and arithmetic: a runner owns the weights it generates with and
// the memory of the KV blocks, and advances sequences by the tokens it is given. Which block
// belongs to which sequence is decided by its caller.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/number_format.h"
#include "base/status.h"
#include "model/format/config.h"
#include "model/format/weights_view.h"
#include "rollout/runner_adapter.h"
#include "rollout/schedule/block_pool.h"

namespace longshot::model {
struct Adapter;  // model/format/adapters/adapter.h
}

namespace longshot::rollout {

// Feeds `tokens` of one sequence whose first `start` tokens are in the KV cache.
struct SequenceStep {
  // Block p holds positions [16 p, 16 p + 16). Blocks for the new tokens are included.
  std::span<const int> blocks;
  int start = 0;                           // position of tokens[0]
  std::span<const int32_t> tokens;         // at least one
  int logits = 1;                          // number of last tokens with logits, 0 to tokens.size()
  const RunnerAdapter* adapter = nullptr;  // made by this runner; null: the base model
};

struct RunnerLimits {
  int max_running = 256;    // sequences in one forward()
  int max_sequence = 2048;  // tokens of one sequence, prompt + response
  int kv_blocks = 0;  // KV blocks of 16 tokens; 0: enough for max_running sequences of max_sequence
  int max_rows = 512;  // new tokens in one forward()
  // Format of the matrices, to which the published f32 weights are converted.
  NumberFormat weights = NumberFormat::f32;
  NumberFormat kv = NumberFormat::f32;  // of the KV cache: f32, bf16 or int8

  int blocks() const { return kv_blocks > 0 ? kv_blocks : max_running * blocks_for(max_sequence); }
};

class Runner {
 public:
  virtual ~Runner() = default;

  // Loads new weights; all KV content becomes invalid. `weights` is borrowed only during the call
  // unless the implementation says otherwise. Error: the architecture is not supported.
  virtual Status load_weights(const model::WeightsView& weights) = 0;
  virtual int64_t version() const = 0;
  // Makes what steps need to compute with this adapter, for the network that is loaded. It stays
  // valid under new weights of the same network. Error: the adapter has a layer that the runner
  // cannot adapt, or the runner has no adapters, which is what this implementation says.
  virtual Result<std::shared_ptr<const RunnerAdapter>> prepare_adapter(
      const model::Adapter& adapter);
  // Frees the weights and the KV memory. forward() needs new weights then; version() stays.
  virtual void release() = 0;

  virtual void copy_block(int from, int to) = 0;

  // Executes all steps and writes the requested logits in order, [requested tokens, vocab]. A block
  // that a step writes to must not be in any other step, unless both write the same tokens. The
  // result for one sequence does not depend on which others are in `steps`, on how its tokens were
  // cut into steps, or on the number of threads (bit for bit if `batch_invariant()`).
  virtual void forward(std::span<const SequenceStep> steps, std::span<float> logits) = 0;

  virtual const model::ModelConfig& config() const = 0;
  virtual RunnerLimits limits() const = 0;
  virtual bool batch_invariant() const = 0;
  virtual int64_t kv_bytes() const = 0;      // bytes allocated for KV blocks
  virtual int64_t weight_bytes() const = 0;  // bytes of its copy of the weights
  // Fixed cost of a pass, expressed in rows that would take the same time. A hint: results do not
  // depend on it.
  virtual double overhead_rows() const { return 8; }
};

inline Result<std::shared_ptr<const RunnerAdapter>> Runner::prepare_adapter(
    const model::Adapter& /*adapter*/) {
  return invalid_argument(
      "adapters beside their base need the device cpu and its kernels; merge the adapter instead "
      "(longshot convert --model BASE --adapter DIR --output DIR)");
}

}  // namespace longshot::rollout
