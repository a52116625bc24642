#pragma once
// One forward and backward over packed rows. The head runs at the positions that predict trained tokens only, a block at
// a time, so nothing of size [total, vocab] exists. Rows with the same prompt share it where the compute can do that.

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

// A sequence and the tokens of it that matter; mask[0] is ignored (nothing predicts the first
// token). Borrowed.
struct PassRow {
  std::span<const data::TokenId> tokens;  // [n]
  std::span<const uint8_t> mask;          // [n]
  int prompt = 0;  // so many first tokens may be shared with other rows; none of them matters
};
int64_t target_count(const PassRow& row);

struct MicroBatch {
  model::PackedBatch batch;  // each row up to the predictor of its last target
  std::vector<int64_t>
      predictors;                // [targets] packed position whose distribution is over targets[i]
  std::vector<int32_t> targets;  // [targets]
  std::vector<size_t> rows;      // rows in this micro-batch, as indices into the input
  std::vector<size_t> begins;    // [rows + 1] where each row's targets start
  int64_t unshared = 0;          // tokens that there would be if every row had a prompt of its own
};
model::Work work_of(const MicroBatch& micro, const model::ModelConfig& config);

// Whole rows, at most size.tokens packed tokens unless one row alone, or rows of one prompt, have more. Rows without a
// target appear in no micro-batch.
std::vector<MicroBatch> make_micro_batches(const std::vector<PassRow>& rows, const PassSize& size);

// What Compute says with the CPU's own kernels, told before there are weights: size of a pass and
// memory of its activations, in bytes.
PassSize own_pass_size(int64_t wanted);
double own_activation_bytes(const model::ModelConfig& config, const ComputeOptions& options,
                            int64_t tokens, int64_t targets, int lora_rank);

// What computes passes: the kernels of model/cpu/, or libtorch. Not thread-safe.
class Compute {
 public:
  // `weights` tells the model and the device.
  Compute(const model::Weights& weights, const ComputeOptions& options);

  // wanted: packed tokens of a pass, 0 for what is fastest here.
  PassSize pass_size(int64_t wanted) const;
  model::CpuCompute* cpu() { return cpu_.get(); }
  // Of a pass over so many packed tokens.
  model::cpu::Checkpointing checkpointing(int64_t tokens) const;
  // Memory of the largest pass so far; 0 with libtorch, which does not tell.
  int64_t activation_bytes() const { return cpu_ == nullptr ? 0 : cpu_->activation_bytes(); }

 private:
  model::ModelConfig config_;
  std::unique_ptr<model::CpuCompute> cpu_;  // null: libtorch
  std::string checkpointing_;
  int64_t activation_bytes_ = 0;  // that "auto" may keep
};

// Not thread-safe: backward() adds to the gradients of `weights`, which must outlive the pass. One pass of a Compute at
// a time.
class Pass {
 public:
  // Keeps what backward() needs unless called under NoGradGuard. `expected_gradient`: what backward() will be given, if
  // that can be told before: the pass is faster then, and right in any case. Borrowed.
  Pass(Compute& compute, model::Weights& weights, const MicroBatch& micro, double temperature,
       bool with_entropy, const std::vector<float>* expected_gradient = nullptr);

  const std::vector<float>& logprobs() const { return out_.logprobs; }  // [targets]
  const std::vector<float>& entropy() const { return out_.entropy; }    // [targets], if asked for
  // Adds the gradients of a loss whose derivative by logprobs()[i] is grad[i]. Once.
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
