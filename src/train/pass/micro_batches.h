#pragma once
// Rows -> packed batches for passes. The head of a model runs only at positions that predict
// trained tokens. Rows with the same prompt share it if the compute supports that. Torch-free,
// stateless.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/types.h"
#include "model/format/cost.h"
#include "model/pass.h"

namespace longshot::train {

// A sequence and the mask of its targets, the tokens whose log-probability is computed. mask[0] is
// ignored, because nothing predicts the first token. Borrowed.
struct PassRow {
  std::span<const data::TokenId> tokens;  // [n]
  std::span<const uint8_t> mask;          // [n]
  int prompt = 0;  // length of the prompt prefix, which other rows may share; has no targets
};
int64_t target_count(const PassRow& row);
// The tokens of the prompt as a key for comparisons. Borrowed.
std::string_view prompt_bytes(const PassRow& row);

struct MicroBatch {
  model::PackedBatch batch;         // each row up to the predictor of its last target
  std::vector<int64_t> predictors;  // [targets] packed position that predicts targets[i]
  std::vector<int32_t> targets;     // [targets]
  std::vector<size_t> rows;         // rows in this micro-batch, as indices into the input
  std::vector<size_t> begins;       // [rows + 1] where each row's targets start
  int64_t unshared = 0;             // packed tokens if no prompt were shared

  model::Predictions predictions(double temperature) const {
    return {batch, predictors, targets, temperature};
  }
  // The part of `values` [targets] that belongs to the r-th row of this micro-batch.
  template <typename T>
  std::span<T> of_row(size_t r, std::span<T> values) const {
    return values.subspan(begins[r], begins[r + 1] - begins[r]);
  }
};
model::Work work_of(const MicroBatch& micro, const model::ModelConfig& config);

// Packs whole rows into micro-batches of at most size.tokens packed tokens. A single row may have
// more, and rows of one prompt may have up to size.prompts times its length. Rows without a target
// appear in no micro-batch.
std::vector<MicroBatch> make_micro_batches(const std::vector<PassRow>& rows,
                                           const model::PassSize& size);

}  // namespace longshot::train
