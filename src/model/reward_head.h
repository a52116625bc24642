#pragma once
// The head of a reward model: one number for a whole sequence, and its gradient.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/compute.h"
#include "model/pass.h"

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
  // `padding` is the model's padding token. share_prompts: as in PassSize of the compute.
  ScoreBatch(std::optional<int> padding, bool share_prompts)
      : padding_(padding), share_prompts_(share_prompts) {}

  // The sequence must not be empty (LS_CHECKed).
  void append(std::span<const int32_t> tokens);
  // Appends both, one after the other. With share_prompts their common prefix is in the batch only
  // once.
  void append_pair(std::span<const int32_t> first, std::span<const int32_t> second);

  const PackedBatch& packed() const { return packed_; }
  const std::vector<int64_t>& rows() const { return rows_; }  // [sequences] rows of packed()
  int64_t unshared() const { return unshared_; }  // tokens of all sequences, shared ones repeated

 private:
  // The first `shared` tokens are those of the sequence `prompt` of the batch.
  void append(std::span<const int32_t> tokens, size_t shared, int prompt);

  std::optional<int> padding_;
  bool share_prompts_;
  PackedBatch packed_;
  std::vector<int64_t> rows_;
  int64_t unshared_ = 0;
};

// One forward and backward pass. score = score.weight . (hidden state at scored_position()),
// computed in double. Everything is borrowed for the lifetime of the pass. Not thread-safe:
// backward() adds to the gradients of the compute's weights.
class ScorePass {
 public:
  ScorePass(Compute& compute, const ScoreBatch& batch, bool for_backward);

  const std::vector<float>& scores() const { return scores_; }  // [sequences]
  // Adds the gradients of a loss with the derivative grad[i] by scores()[i]. May be called once,
  // and only with for_backward.
  void backward(std::span<const float> grad);

 private:
  void add_head_gradient(std::span<const float> grad);

  Compute& compute_;
  kernels::ConstRows hidden_;  // [sequences, hidden] at the scored positions
  at::Tensor head_;            // [1, hidden] on the host
  std::vector<float> scores_;
};

// Scores without a gradient. Computes at most `batch_tokens` tokens at a time; a longer sequence
// gets its own batch. On the CPU kernels the score of a sequence is the same to the bit regardless
// of the other sequences. Sequences must not be empty.
std::vector<float> sequence_scores(Compute& compute,
                                   const std::vector<std::vector<int32_t>>& sequences,
                                   int64_t batch_tokens);

}  // namespace longshot::model
