#pragma once
// Hands new weights to the engines that sample with them, and numbers the policy versions. A
// publish either reaches every sink or returns an error, so a failed sync is never silent. Not
// thread-safe.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "model/format/weights_view.h"
#include "model/weights.h"

namespace longshot::publish {

// Copies, packs or sends the weights before it returns: the view is valid only during the call.
using Sink = std::function<Status(const model::WeightsView& weights)>;
// Optional: returns the publish::tensor_checksum of the f32 values that the sink now holds for one
// tensor.
using Probe = std::function<Result<uint64_t>(const std::string& tensor_name)>;

// XXH3-64 of a tensor's f32 values.
uint64_t tensor_checksum(const model::TensorView& tensor);

class Publisher {
 public:
  // `version` is that of the weights published last; the next publish has version + 1.
  explicit Publisher(int64_t version = 0) : version_(version) {}

  // Names appear in errors. A sink with a probe is verified after each hand-over: first, middle and
  // last tensor.
  void add_sink(std::string name, Sink sink, Probe probe = nullptr);

  // Hands the weights to all sinks in the order they were added, stopping at the first failure. The
  // version increases only if all succeed. Zero copy on a CPU. Metrics: timing_s/update_weights,
  // publish/bytes (of one hand-over), publish/version.
  Result<Metrics> publish(const model::Weights& weights);

  // The version is the whole state of this stage in a checkpoint.
  int64_t version() const { return version_; }
  void set_version(int64_t version) { version_ = version; }

 private:
  struct NamedSink {
    std::string name;
    Sink sink;
    Probe probe;
  };
  Status verify(const NamedSink& target, const model::WeightsView& view) const;

  int64_t version_;
  std::vector<NamedSink> sinks_;
};

}  // namespace longshot::publish
