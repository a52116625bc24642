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

// Converts a score trained on labels to the probability that the response is correct: 1 / (1 +
// exp(-score)).
double score_probability(double score);

// The position at which a sequence is scored, as in transformers' ...ForSequenceClassification: its
// last token that is not padding, or the first token if all are padding.
int64_t scored_position(std::span<const int32_t> tokens, std::optional<int> padding);

// Sequences laid end to end, and the position at which each of them is scored.
class ScoreBatch {
 public:
  // `padding` is the model's padding token.
  explicit ScoreBatch(std::optional<int> padding) : padding_(padding) {}

  // The sequence must not be empty (LS_CHECKed).
  void append(std::span<const int32_t> tokens);
  // Appends both, one after the other. Their common prefix is in the batch only once, which needs a
  // CpuCompute.
  void append_pair(std::span<const int32_t> first, std::span<const int32_t> second);

  const PackedBatch& packed() const { return packed_; }
  const std::vector<int64_t>& rows() const { return rows_; }  // [sequences] rows of packed()
  int64_t unshared() const { return unshared_; }  // tokens of all sequences, shared ones repeated

 private:
  // The first `shared` tokens are those of the sequence `prompt` of the batch.
  void append(std::span<const int32_t> tokens, size_t shared, int prompt);

  std::optional<int> padding_;
  PackedBatch packed_;
  std::vector<int64_t> rows_;
  int64_t unshared_ = 0;
};

// One forward and backward pass. score = score.weight . (hidden state at scored_position()),
// computed in double. Everything is borrowed for the lifetime of the pass. Not thread-safe:
// backward() adds to the gradients of `weights`.
class ScorePass {
 public:
  // With a null `compute` the pass goes through libtorch; the batch must then have no pairs. Keeps
  // what backward() needs, unless called under NoGradGuard. A CpuCompute can have only one pass at
  // a time.
  ScorePass(CpuCompute* compute, Weights& weights, const ScoreBatch& batch,
            cpu::Checkpointing checkpointing = cpu::Checkpointing::none);

  const std::vector<float>& scores() const { return scores_; }  // [sequences]
  // Adds the gradients of a loss with the derivative grad[i] by scores()[i]. May be called once.
  void backward(const std::vector<float>& grad);

 private:
  void add_head_gradient(const std::vector<float>& grad);

  CpuCompute* compute_;
  Weights& weights_;
  at::Tensor gathered_;     // with libtorch: [sequences, hidden]
  at::Tensor host_hidden_;  // the same on the host, contiguous
  at::Tensor host_head_;    // [1, hidden]
  std::vector<float> scores_;
};

// Scores without a gradient. Computes at most `batch_tokens` tokens at a time; a longer sequence
// gets its own batch. With a CpuCompute the score of a sequence is the same to the bit regardless
// of the other sequences. Sequences must not be empty.
std::vector<float> sequence_scores(CpuCompute* compute, Weights& weights,
                                   const std::vector<std::vector<int32_t>>& sequences,
                                   int64_t batch_tokens);

}  // namespace longshot::model
