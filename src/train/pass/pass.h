#pragma once
// One forward and backward over packed rows. The head runs only at positions that predict trained
// tokens, a block at a time, so nothing of size [total, vocab] exists. Rows with the same prompt
// share it if the compute supports that (the CPU's own kernels do).

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/types.h"
#include "model/cpu_compute.h"
#include "model/format/cost.h"
#include "model/torch/forward.h"
#include "model/torch/logprob.h"
#include "model/weights.h"
#include "train/options.h"
#include "train/pass/packing.h"

namespace longshot::train {

// A sequence and the mask of its targets, the tokens whose log-probability is computed. mask[0] is
// ignored, because nothing predicts the first token. Borrowed.
struct PassRow {
  std::span<const data::TokenId> tokens;  // [n]
  std::span<const uint8_t> mask;          // [n]
  int prompt = 0;  // length of the prompt prefix, which other rows may share; has no targets
};
int64_t target_count(const PassRow& row);

struct MicroBatch {
  model::PackedBatch batch;         // each row up to the predictor of its last target
  std::vector<int64_t> predictors;  // [targets] packed position that predicts targets[i]
  std::vector<int32_t> targets;     // [targets]
  std::vector<size_t> rows;         // rows in this micro-batch, as indices into the input
  std::vector<size_t> begins;       // [rows + 1] where each row's targets start
  int64_t unshared = 0;             // packed tokens if no prompt were shared
};
model::Work work_of(const MicroBatch& micro, const model::ModelConfig& config);

// Packs whole rows into micro-batches of at most size.tokens packed tokens. A single row may have
// more, and rows of one prompt may have up to size.prompts times its length. Rows without a target
// appear in no micro-batch.
std::vector<MicroBatch> make_micro_batches(const std::vector<PassRow>& rows, const PassSize& size);

// Predictions for the CPU's own kernels that need no weights: the size of a pass (see
// Compute::pass_size), and the bytes of activations of a pass over `tokens` packed tokens with
// `targets` predictions.
PassSize own_pass_size(int64_t wanted);
double own_activation_bytes(const model::ModelConfig& config, const model::ComputeOptions& options,
                            int64_t tokens, int64_t targets, int lora_rank);

// The backend that computes passes: the kernels of model/cpu/, or libtorch. Not thread-safe.
class Compute {
 public:
  // Model and device are those of `weights`.
  Compute(const model::Weights& weights, const model::ComputeOptions& options);

  // wanted: packed tokens of a pass; 0 for the fastest size of this backend.
  PassSize pass_size(int64_t wanted) const;
  model::CpuCompute* cpu() { return cpu_.get(); }
  // Checkpointing mode of a pass over `tokens` packed tokens.
  model::cpu::Checkpointing checkpointing(int64_t tokens) const;
  // Bytes of activations of the largest pass so far; 0 with libtorch, which does not report it.
  int64_t activation_bytes() const { return cpu_ == nullptr ? 0 : cpu_->activation_bytes(); }

 private:
  model::ModelConfig config_;
  std::unique_ptr<model::CpuCompute> cpu_;  // null: libtorch
  model::CheckpointingChoice checkpointing_;
  int64_t activation_bytes_ = 0;  // limit of checkpointing "auto"
};

// Not thread-safe: backward() adds to the gradients of `weights`, which must outlive the pass. A
// Compute supports one pass at a time.
class Pass {
 public:
  // Runs the forward. Keeps the activations for backward() unless called under NoGradGuard.
  // `expected_gradient`: the gradient that backward() will probably receive, or null. A correct
  // prediction makes the pass faster; the result is correct in any case. Borrowed.
  Pass(Compute& compute, model::Weights& weights, const MicroBatch& micro, double temperature,
       bool with_entropy, const std::vector<float>* expected_gradient = nullptr);

  const std::vector<float>& logprobs() const { return out_.logprobs; }  // [targets]
  // [targets] in nats; empty unless with_entropy.
  const std::vector<float>& entropy() const { return out_.entropy; }
  // Adds the gradients of a loss whose derivative with respect to logprobs()[i] is grad[i]. May be
  // called once.
  void backward(const std::vector<float>& grad);

 private:
  Compute& compute_;
  model::Weights& weights_;
  const MicroBatch& micro_;
  double temperature_;
  at::Tensor gathered_;  // libtorch: [targets, hidden]
  model::TokenLogprobs out_;
};

}  // namespace longshot::train
