#pragma once
// The seam between scheduling and arithmetic: a runner owns the weights it generates with and the KV cache, and
// advances sequences by the tokens it is given. Scheduling above it works on ids only.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "model/format/config.h"
#include "model/format/weights_view.h"

namespace longshot::rollout {

// Feed tokens[0..) of one sequence whose first `start` tokens are already in the KV cache under `slot`.
struct Step {
  int slot = 0;                     // KV slot, in [0, max_slots)
  int start = 0;                    // position of tokens[0]
  std::span<const int32_t> tokens;  // at least one
};

struct RunnerLimits {
  int max_slots = 256;      // sequences whose KV is held
  int max_sequence = 2048;  // tokens of one sequence, prompt + response
};

class Runner {
 public:
  virtual ~Runner() = default;

  // Takes new weights; all KV content becomes invalid. `weights` is borrowed only during the call unless the
  // implementation says otherwise. Error: the architecture is not supported.
  virtual Status load_weights(const model::WeightsView& weights) = 0;
  virtual int64_t version() const = 0;

  // Copies the first `length` cached tokens of slot `from` to slot `to`: the prompt of a group is computed once.
  virtual void copy_prefix(int from, int to, int length) = 0;

  // Advances every step and writes the logits of its last token to logits[i * vocab, (i + 1) * vocab).
  // The result for one sequence does not depend on which others are in `steps`, on how its tokens were cut into
  // steps, or on the number of threads (bit for bit where `batch_invariant()`).
  virtual void forward(std::span<const Step> steps, std::span<float> logits) = 0;

  virtual const model::ModelConfig& config() const = 0;
  virtual RunnerLimits limits() const = 0;
  virtual bool batch_invariant() const = 0;
};

// CPU kernels of our own (Highway, run-time dispatch): batch-invariant. threads >= 1.
std::unique_ptr<Runner> make_cpu_runner(const RunnerLimits& limits, int threads);

}  // namespace longshot::rollout
