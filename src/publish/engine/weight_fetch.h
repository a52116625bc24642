#pragma once
// Brings a version from peers into the store of this host. One process of a host fetches, the
// others wait for it and use its copy.

#include <cstdint>
#include <string>
#include <vector>

#include "base/os/clock.h"
#include "base/status.h"
#include "publish/engine/manifest.h"
#include "publish/engine/transfer.h"
#include "publish/engine/weight_store.h"

namespace longshot::publish {

struct Fetched {
  Held version;
  uint64_t bytes = 0;  // of data received by this call; 0 if the store had the version
  double seconds = 0;
};

// Returns the version of the manifest, complete and verified. `peers` are urls of WeightServers
// ("http://host:port"); not all of them need to have the version. A version of the store with the
// same number and other bits is replaced. Thread-safe. Never takes longer than the deadline.
//
// Errors name the host and the cause: timeout; cancelled by stop_requested(); exhausted if there is
// no room; corrupt if no peer has the right bytes; otherwise the last peer's failure.
Result<Fetched> fetch(const Manifest& manifest, const std::vector<std::string>& peers,
                      WeightStore& store, const FetchOptions& options, Deadline deadline);

}  // namespace longshot::publish
