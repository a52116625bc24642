#pragma once
// Sockets for the meeting point of a group: on the one address that the others reach, never on all
// addresses of the host. Torch-free.

#include <cstdint>
#include <string>

#include "base/status.h"

namespace longshot::train {

// The numeric address of this host from which packets to host:port leave: "127.0.0.1" for a host
// that is this one's loopback. Sends nothing. unavailable: the name cannot be resolved, or no route
// leads to it.
Result<std::string> address_towards(const std::string& host, uint16_t port);

// A socket that listens on host:port, which must be an address of this host. The caller closes it.
Result<int> listen_on(const std::string& host, uint16_t port);

}  // namespace longshot::train
