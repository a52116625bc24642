#pragma once
// The head of a reward model: one number for a whole sequence, and its gradient.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/cpu_compute.h"
#include "model/torch/forward.h"
#include "model/weights.h"

namespace longshot::model {

// The chance that a response is right, of a score that was trained on labels: 1 / (1 + exp(-score)).
double score_probability(double score);

// Where a sequence is scored, as transformers' ...ForSequenceClassification does it: at its last token that is not
// padding; at the first if there is no such token.
int64_t scored_position(std::span<const int32_t> tokens, std::optional<int> padding);

// Sequences laid end to end, and where in the batch each of them is scored.
class ScoreBatch {
 public:
  // The padding token of the model.
  explicit ScoreBatch(std::optional<int> padding) : padding_(padding) {}

  // No sequence is empty.
  void append(std::span<const int32_t> tokens);
  // Both, one after the other. The tokens that both begin with are in the batch once, which needs a CpuCompute.
  void append_pair(std::span<const int32_t> first, std::span<const int32_t> second);

  const PackedBatch& packed() const { return packed_; }
  const std::vector<int64_t>& rows() const { return rows_; }  // [sequences] of packed()
  int64_t unshared() const { return unshared_; }              // tokens of all sequences

 private:
  // The first `shared` tokens are those of the sequence `prompt`.
  void append(std::span<const int32_t> tokens, size_t shared, int prompt);

  std::optional<int> padding_;
  PackedBatch packed_;
  std::vector<int64_t> rows_;
  int64_t unshared_ = 0;
};

// One forward and backward. score = score.weight . (hidden state at scored_position()), in double. Everything is borrowed
// for the life of the pass. Not thread-safe: backward() adds to the gradients of `weights`.
class ScorePass {
 public:
  // `compute` null: through libtorch, of a batch without pairs. Keeps what backward() needs unless called under
  // NoGradGuard. One pass of a CpuCompute at a time.
  ScorePass(CpuCompute* compute, Weights& weights, const ScoreBatch& batch,
            cpu::Checkpointing checkpointing = cpu::Checkpointing::none);

  const std::vector<float>& scores() const { return scores_; }  // [sequences]
  // Adds the gradients of a loss whose derivative by scores()[i] is grad[i]. Once.
  void backward(const std::vector<float>& grad);

 private:
  void add_head_gradient(const std::vector<float>& grad);

  CpuCompute* compute_;
  Weights& weights_;
  at::Tensor gathered_;     // libtorch: [sequences, hidden]
  at::Tensor host_hidden_;  // the same on the host, contiguous
  at::Tensor host_head_;    // [1, hidden]
  std::vector<float> scores_;
};

// Scores without a gradient; at most `batch_tokens` at a time, a longer sequence alone. With a CpuCompute the score of a
// sequence is the same bits whatever the others are. No sequence is empty.
std::vector<float> sequence_scores(CpuCompute* compute, Weights& weights,
                                   const std::vector<std::vector<int32_t>>& sequences,
                                   int64_t batch_tokens);

}  // namespace longshot::model
