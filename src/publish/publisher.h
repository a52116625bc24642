#pragma once
// New weights -> those who sample with them. Counts policy versions; every publish reaches every sink or is an
// error: weights never fail to sync in silence. Not thread-safe.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "model/format/weights_view.h"
#include "model/weights.h"

namespace longshot::publish {

// Takes the weights over (copies, packs, sends) before it returns: the view is valid during the call only.
using Sink = std::function<Status(const model::WeightsView& weights)>;
// Optional: what the sink now holds of one tensor, as publish::tensor_checksum of its f32 values.
using Probe = std::function<Result<uint64_t>(const std::string& tensor_name)>;

// XXH3-64 of a tensor's f32 values.
uint64_t tensor_checksum(const model::TensorView& tensor);

class Publisher {
 public:
  // `version`: of the weights published last; the next publish has version + 1.
  explicit Publisher(int64_t version = 0) : version_(version) {}

  // Names appear in errors. A sink with a probe is verified after each hand-over: first, middle and last tensor.
  void add_sink(std::string name, Sink sink, Probe probe = nullptr);

  // Hands the weights to all sinks in the order they were added, stopping at the first failure; the version counts
  // only if all succeed. Zero copy on a CPU. Metrics: timing_s/update_weights, publish/bytes (of one hand-over),
  // publish/version.
  Result<Metrics> publish(const model::Weights& weights);

  // The checkpoint's whole state of this stage.
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
