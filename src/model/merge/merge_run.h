#pragma once
// A whole merge: from a recipe to a Hugging Face directory. One block of one tensor of every model
// is in memory at a time, and an interrupted merge continues with the same bytes.

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "model/merge/inputs.h"

namespace longshot::model {

struct MergeOptions {
  Recipe recipe;
  std::string output;
  int64_t max_shard_bytes = int64_t{5} << 30;
  bool overwrite = false;
};

// What a merge will write and need.
struct MergePlan {
  std::vector<WeightFile> files;
  int64_t parameters = 0;
  int64_t bytes = 0;         // of the weights written
  int64_t read_bytes = 0;    // an upper bound, as f32
  int64_t memory_bytes = 0;  // blocks, and models that are in memory as a whole
};
MergePlan plan_merge(const MergeOptions& options, const MergeInputs& inputs);

// Called before each tensor with the number of finished ones.
using OnTensor = std::function<void(size_t done, const std::string& name)>;

// Errors: the output may not be written; the folder OUTPUT.partial belongs to another merge; those
// of merge_tensor(). After an error or a stop, the finished weight files remain in OUTPUT.partial
// and the same call continues.
Status run_merge(const MergeOptions& options, const MergeInputs& inputs, const OnTensor& on_tensor);

}  // namespace longshot::model
