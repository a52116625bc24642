#pragma once
// Pairs of responses through a model. Both responses of a pair are in the same pass, because the
// gradient of each depends on the log-probability of the other.

#include <cstdint>
#include <span>
#include <vector>

#include "data/types.h"
#include "train/pass/micro_batches.h"
#include "train/pass/passes.h"

namespace longshot::train {

// A sequence whose tokens with mask != 0 form the response. Borrowed.
struct PairSide {
  std::span<const data::TokenId> tokens;  // [n]
  std::span<const uint8_t> mask;          // [n] at least one token, not the first
};

// Two responses to a prompt.
struct PairSequences {
  PairSide chosen, rejected;
  int prompt = 0;  // number of tokens with which both begin; none of them is a response token

  int64_t length() const {
    return static_cast<int64_t>(chosen.tokens.size() + rejected.tokens.size());
  }
};

// Log-probabilities of the responses: sums over their tokens.
struct PairLogprobs {
  double chosen = 0, rejected = 0;
  bool operator==(const PairLogprobs&) const = default;
};

// Cuts pairs into passes of at most size.tokens packed tokens (a single pair may have more).
// Returns indices of `pairs`.
std::vector<std::vector<size_t>> pair_packs(const std::vector<PairSequences>& pairs,
                                            const model::PassSize& size);

// The pairs `members` in one packed batch. Row 2 i of the micro-batch's input is the chosen
// response of pair members[i], row 2 i + 1 the rejected one.
MicroBatch pair_micro_batch(const std::vector<PairSequences>& pairs,
                            const std::vector<size_t>& members, const model::PassSize& size);

// Sums the log-probabilities of a pass over each response: result[i] belongs to the i-th pair of
// the micro-batch.
std::vector<PairLogprobs> sum_by_pair(const MicroBatch& micro, std::span<const float> logprobs);

// The log-probabilities of all pairs, without a gradient. What is computed is added to `totals`.
std::vector<PairLogprobs> pair_logprobs(model::Compute& compute,
                                        const std::vector<PairSequences>& pairs,
                                        int64_t micro_batch_tokens, PassTotals& totals);

}  // namespace longshot::train
