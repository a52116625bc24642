#pragma once
// Merges one tensor in blocks: the memory does not depend on its size. The arithmetic is in f32, in
// the order of mergekit's methods (mergekit/merge_methods/, mergekit/sparsify.py), which it equals
// up to rounding. docs/merging.md has the formulas.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/merge/method.h"

namespace longshot::model {

// Elements [begin, begin + out.size()) of the tensor in one model.
using ReadBlock = std::function<Status(int64_t begin, std::span<float> out)>;

struct TensorInput {
  ReadBlock read;
  double weight = 1, density = 1;
  uint64_t model = 0;  // place in the list of models, for the random mask
};

struct TensorMerge {
  std::string name;
  int64_t elements = 0;
  MergeMethod method = MergeMethod::linear;
  // The base model's tensor; not of linear. With slerp, `inputs` is the other model alone.
  ReadBlock base;
  std::vector<TensorInput> inputs;
  double t = 0, lambda = 1;
  bool normalize = false, rescale = false;
  uint64_t seed = 0;
};

// The most f32 values in memory for a merge of `inputs` models.
int64_t merge_block_values(size_t inputs);

// Calls `write` with consecutive blocks of the result. Errors: those of the callbacks; a value that
// is not finite; linear weights whose sum is 0. `cancelled` if a stop is requested.
Status merge_tensor(const TensorMerge& merge,
                    const std::function<Status(std::span<const float>)>& write);

}  // namespace longshot::model
