#pragma once
// Whether the trainers of a gang may exchange what they do without encryption.

#include <string>

#include "base/status.h"
#include "config/sections/cluster.h"

namespace longshot::loop {

// `own_address`: this trainer's, at which the others reach it (train/shard/local_address.h). Error:
// invalid_argument if the run uses TLS, this address is one of a network, and cluster.gang_in_clear
// does not allow it.
Status check_privacy(const config::ClusterOptions& cluster, const std::string& own_address);

}  // namespace longshot::loop
