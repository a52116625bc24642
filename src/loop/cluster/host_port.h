#pragma once
// Addresses at which processes of a cluster listen, and those at which others reach them.

#include <string>

#include "base/status.h"

namespace longshot::loop {

struct HostPort {
  std::string host;
  int port = 0;
};

// "HOST:PORT". The host of "[::1]:7000" is "::1". The error names `key`.
Result<HostPort> parse_host_port(const std::string& text, const std::string& key);
// The reverse, with the brackets of an IPv6 address.
std::string to_string(const HostPort& at);

// The host that others should use for a process that listens at `at`, with the brackets of an IPv6
// address: `advertised` if it is not empty; this machine's name if `at` is all interfaces; else the
// host itself.
std::string reachable_host(const HostPort& at, const std::string& advertised);

}  // namespace longshot::loop
