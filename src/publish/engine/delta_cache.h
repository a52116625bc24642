#pragma once
// The difference that a server has encoded last. All hosts ask for the same one at the same time.

#include <memory>
#include <mutex>
#include <string>

#include "publish/engine/weight_store.h"

namespace longshot::publish {

// Thread-safe.
class DeltaCache {
 public:
  // The delta from `base` to `target`, or null if there is none (encode_delta()). Callers wait
  // while another one encodes.
  std::shared_ptr<const std::string> get(const HeldVersion& base, const HeldVersion& target);

 private:
  std::mutex mutex_;
  std::string key_;  // the manifests of the two versions
  std::shared_ptr<const std::string> delta_;
};

}  // namespace longshot::publish
