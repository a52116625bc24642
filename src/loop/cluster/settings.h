#pragma once
// What a coordinator tells its workers: the engine to make, and where the weights are.

#include <string>

#include "base/json.h"
#include "base/number_format.h"
#include "base/status.h"
#include "publish/engine/manifest.h"
#include "rollout/runner.h"

namespace longshot::loop {

struct WorkerSettings {
  std::string run;
  rollout::RunnerLimits limits;  // with the formats of weights and KV cache
};
Json to_json(const WorkerSettings& settings);
Result<WorkerSettings> worker_settings_from_json(const Json& json);

struct WeightsSource {
  publish::VersionId id;
  std::string url;           // of the coordinator's weight server
  uint64_t fingerprint = 0;  // of the manifest: another run of the same name has other weights
};
Json to_json(const WeightsSource& source);
Result<WeightsSource> weights_source_from_json(const Json& json);

// The value of kAddress.
struct Coordinator {
  std::string address;  // HOST:PORT at which workers connect
  std::string name;
  std::string url;          // of its weights and its status
  std::string fingerprint;  // that workers must have; empty: any
  WorkerSettings settings;
};
Json to_json(const Coordinator& coordinator);
Result<Coordinator> coordinator_from_json(const Json& json);

// Keys of the directory.
constexpr const char* kCoordinator = "coordinator";
constexpr const char* kAddress = "coordinator/address";
constexpr const char* kComplete = "complete";  // the run has reached its end
constexpr const char* kCurrentWeights = "weights/current";
constexpr const char* kHosts = "hosts/";

}  // namespace longshot::loop
