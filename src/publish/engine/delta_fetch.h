#pragma once
// Fetches a version as its difference to one that the store has.

#include <cstdint>
#include <optional>

#include "base/os/clock.h"
#include "publish/engine/peers.h"
#include "publish/engine/transfer.h"
#include "publish/engine/weight_store.h"

namespace longshot::publish {

// Asks one peer for the difference of `target` to `base`, which may be null, and writes the version
// with it. Returns the bytes received, or nothing if the version must be fetched whole: there is no
// difference, or something failed. The writer has reserved the version.
std::optional<uint64_t> fetch_delta(const Held& base, const Manifest& target, Peers& peers,
                                    VersionWriter& writer, const FetchOptions& options,
                                    Deadline deadline);

}  // namespace longshot::publish
