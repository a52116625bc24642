#pragma once
// Weights of a model into a store and back: what a trainer publishes, and what a rollout loads.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/thread_pool.h"
#include "model/format/safetensors.h"
#include "model/format/weights_view.h"
#include "publish/engine/weight_store.h"

namespace longshot::publish {

struct EngineSinkOptions {
  model::Dtype dtype = model::Dtype::f32;  // or bf16, rounded to nearest even
  // Only the factors of matrix products are rounded, and embeddings, norms and biases keep f32, as
  // in an engine that computes in bf16.
  bool only_products = false;
  int64_t epoch = 0;                         // of the versions written
  std::map<std::string, std::string> files;  // further ones by name, e.g. tokenizer.json
  int threads = 1;                           // that copy
  double deadline_seconds = 60;              // for another writer of the host to finish
};

// Writes the weights into a store as version `view.version`. The files config.json and
// generation_config.json are made from the view. Thread-safe.
class EngineSink {
 public:
  // The store must outlive the sink.
  EngineSink(WeightStore& store, EngineSinkOptions options);

  // One pass: values are rounded, hashed and stored while they are in the cache. Errors: those of
  // WeightStore::write() and VersionWriter, and invalid_argument for a finite value that is too
  // large for bf16, naming the tensor.
  Result<Held> write(const model::WeightsView& view);

  // The same as a publish::Sink, and a publish::Probe of the f32 values that the newest version
  // now holds. They must not outlive the sink. A version in bf16 has no probe.
  std::function<Status(const model::WeightsView&)> sink();
  std::function<Result<uint64_t>(const std::string&)> probe();

 private:
  Manifest make_manifest(const model::WeightsView& view) const;
  model::Dtype dtype_of(const model::TensorView& tensor) const;
  Status copy(const model::WeightsView& view, Manifest& manifest, VersionWriter& writer);
  Status add_files(const model::WeightsView& view, Manifest& manifest, VersionWriter& writer);

  WeightStore& store_;
  const EngineSinkOptions options_;
  std::mutex mutex_;  // guards pool_, which runs one loop at a time
  ThreadPool pool_;
};

// A held version as weights. The view's f32 arrays are the mapping itself, those of bf16 are
// expanded into memory of this object. The view is valid while the object lives. Movable only.
struct HeldWeights {
  Held version;
  std::vector<std::vector<float>> expanded;
  model::WeightsView view;
};
// `pool` expands bf16. Errors: corrupt or not_found for a version whose config.json is missing or
// does not describe its tensors.
Result<HeldWeights> open_weights(const Held& version, ThreadPool& pool);

}  // namespace longshot::publish
