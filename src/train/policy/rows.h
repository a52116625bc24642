#pragma once
// Scored groups -> rows for the trainer. Torch-free, stateless.

#include <cstdint>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "data/types.h"

namespace longshot::train {

struct RowSet {
  std::vector<data::TrainRow> rows;  // rows of one group are adjacent; row.group indexes the input
  std::vector<uint8_t> truncated;    // [rows] whether the response ended at its limit of tokens
  int64_t groups = 0;                // groups with at least one row
  // Samples left out, by reason. They do not enter their group's baseline either.
  int64_t erred = 0;    // the reward could not be determined
  int64_t aborted = 0;  // stopped from outside
  int64_t partial = 0;  // unfinished
  int64_t empty = 0;    // no token to train on

  void report(Metrics& metrics) const;  // actor/samples, actor/excluded/*
};

// With `train_earlier_segments` the loss covers all response tokens, otherwise only those of the
// newest policy version in the sample, because earlier segments of a continued rollout are
// off-policy. The first token of a sequence has no predictor, so after an empty prompt the first
// response token has no loss. `version` is that of the weights before the update; tokens of that
// version are fresh. Malformed samples (sizes that disagree, segments with gaps, values that are
// not finite) are errors that name the sample.
Result<RowSet> make_rows(const std::vector<data::Group>& groups, bool train_earlier_segments,
                         int64_t version);

}  // namespace longshot::train
