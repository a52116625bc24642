#pragma once
// Groups -> the rows of one policy update with the inputs of their losses. Torch-free.

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "data/types.h"
#include "train/options.h"
#include "train/policy/rows.h"

namespace longshot::train {

// The rows of one iteration with the inputs of the objective for each.
struct UpdateBatch {
  RowSet set;
  std::vector<double> advantages;           // [rows]
  std::vector<std::vector<size_t>> groups;  // row indices, one entry per problem that has rows
  // [rows][targets] log-probabilities before the update; empty where they are not needed.
  std::vector<std::vector<double>> start;
  // [rows][targets] under the fixed reference model of the KL penalty; empty rows without one.
  std::vector<std::vector<double>> kl_model;
};

// `version` is that of the weights before the update. Errors: those of make_rows().
Result<UpdateBatch> make_update_batch(const std::vector<data::Group>& groups,
                                      const AlgorithmOptions& algorithm, int64_t version);

}  // namespace longshot::train
