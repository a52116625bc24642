#include "train/preference/pair_passes.h"

#include <limits>

#include "base/check.h"
#include "train/pass/packing.h"

namespace longshot::train {
namespace {

// Larger than any batch, and small enough that sums of it do not overflow.
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max() / 4;

int64_t computed_tokens(const PairSequences& pair, const model::PassSize& size) {
  return pair.length() - (size.share_prompts ? pair.prompt : 0);
}

}  // namespace

std::vector<std::vector<size_t>> pair_packs(const std::vector<PairSequences>& pairs,
                                            const model::PassSize& size) {
  std::vector<int64_t> lengths;
  for (const PairSequences& pair : pairs) lengths.push_back(computed_tokens(pair, size));
  return pack_sequences(lengths, size.tokens);
}

MicroBatch pair_micro_batch(const std::vector<PairSequences>& pairs,
                            const std::vector<size_t>& members, const model::PassSize& size) {
  std::vector<PassRow> rows;
  for (const size_t i : members) {
    for (const PairSide& side : {pairs[i].chosen, pairs[i].rejected})
      rows.push_back({side.tokens, side.mask, pairs[i].prompt});
  }
  std::vector<MicroBatch> batches =
      make_micro_batches(rows, {.tokens = kNoLimit, .share_prompts = size.share_prompts});
  LS_CHECK(batches.size() == 1 && batches[0].rows.size() == rows.size(),
           "every response has a token");
  return std::move(batches[0]);
}

std::vector<PairLogprobs> sum_by_pair(const MicroBatch& micro, std::span<const float> logprobs) {
  std::vector<PairLogprobs> sums(micro.rows.size() / 2);
  for (size_t r = 0; r < micro.rows.size(); ++r) {
    PairLogprobs& pair = sums[micro.rows[r] / 2];
    double& sum = micro.rows[r] % 2 == 0 ? pair.chosen : pair.rejected;
    for (const float value : micro.of_row(r, logprobs)) sum += value;
  }
  return sums;
}

std::vector<PairLogprobs> pair_logprobs(model::Compute& compute,
                                        const std::vector<PairSequences>& pairs,
                                        int64_t micro_batch_tokens, PassTotals& totals) {
  std::vector<PairLogprobs> out(pairs.size());
  const model::PassSize size = compute.pass_size(micro_batch_tokens);
  for (const auto& members : pair_packs(pairs, size)) {
    const MicroBatch micro = pair_micro_batch(pairs, members, size);
    const model::TokenLogprobs pass = compute.logprobs(micro.predictions(1), {});
    const auto sums = sum_by_pair(micro, pass.logprobs);
    for (size_t i = 0; i < members.size(); ++i) out[members[i]] = sums[i];
    count_pass(micro, compute.weights(), /*backward=*/false, totals);
  }
  return out;
}

}  // namespace longshot::train
