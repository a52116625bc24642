#pragma once
// Groups -> the rows of one policy update with the inputs of their losses. Torch-free.

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "train/options.h"
#include "train/policy/rows.h"

namespace longshot::train {

// The rows of one iteration with the inputs of the objective for each.
struct UpdateBatch {
  RowSet set;
  std::vector<double> advantages;           // [rows]; empty before set_advantages()
  std::vector<std::vector<size_t>> groups;  // row indices, one entry per problem that has rows
  int64_t masked = 0;                       // rows that set_advantages() took out of `groups`
  // [rows][targets] log-probabilities before the update; empty where they are not needed.
  std::vector<std::vector<double>> start;
  // [rows][targets] under the fixed reference model of the KL penalty; empty rows without one.
  std::vector<std::vector<double>> kl_model;
};

// Without advantages. `version` is that of the weights before the update. Errors: those of
// make_rows().
Result<UpdateBatch> make_update_batch(const std::vector<data::Group>& groups,
                                      const AlgorithmOptions& algorithm, int64_t version);

// The advantages of the rewards minus `penalty` ([rows], or empty). With algorithm.mask_truncated,
// the rows of truncated responses enter the baselines and are then taken out of `groups`.
void set_advantages(const AlgorithmOptions& algorithm, std::span<const double> penalty,
                    UpdateBatch& batch);

}  // namespace longshot::train
