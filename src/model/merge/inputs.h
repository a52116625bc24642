#pragma once
// The open models of a merge.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "model/format/hf_weights.h"
#include "model/format/model_files.h"
#include "model/merge/recipe.h"
#include "model/merge/tensor_merge.h"

namespace longshot::model {

// A model whose tensors are read by ranges. A Hugging Face directory stays on disk; a GGUF file and
// an adapter with its base are in memory as a whole, in f32. Reading is thread-safe.
class MergeInput {
 public:
  static Result<MergeInput> open(const std::string& path);

  const std::string& path() const { return path_; }        // as given
  const std::string& directory() const { return found_; }  // where its files are
  const ModelFiles& files() const { return files_; }
  int64_t bytes_in_memory() const;
  // The tensor of that name, or the embedding for a head that is tied to it. The input must
  // outlive the function.
  ReadBlock reader(const std::string& tensor) const;
  // Changes when a file of the model does. Of large files a sample is read.
  Result<std::string> fingerprint() const;

 private:
  std::string path_, found_;
  ModelFiles files_;  // its weights are empty if they are on disk
  std::optional<HfWeights> on_disk_;
};

// All models of a recipe, each opened once, and what the result is.
struct MergeInputs {
  std::vector<std::unique_ptr<MergeInput>> models;  // the base first, else the first of the list
  std::vector<WeightSpec> tensors;                  // of the result
  ModelConfig config;                               // of the result

  const MergeInput& find(const std::string& path) const;
  const ModelFiles& first() const { return models.front()->files(); }
  Json fingerprints() const { return fingerprints_; }
  Json fingerprints_ = Json::object();
};
// Opens and compares the models. Errors: a model cannot be read; they do not fit together.
Result<MergeInputs> open_inputs(const Recipe& recipe);

// What to compute for one tensor of the result. `inputs` must outlive it.
TensorMerge plan_tensor(const Recipe& recipe, const MergeInputs& inputs, const WeightSpec& tensor);

}  // namespace longshot::model
