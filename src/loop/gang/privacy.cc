#include "loop/gang/privacy.h"

namespace longshot::loop {

Status check_privacy(const config::ClusterOptions& cluster, const std::string& own_address) {
  const bool loopback = own_address.starts_with("127.") || own_address == "::1";
  if (!cluster.on() || cluster.tls_dir.empty() || cluster.gang_in_clear || loopback)
    return ok_status();
  return invalid_argument(
      "cluster.tls_dir does not encrypt what several trainers exchange, and this one would do so "
      "at " +
      own_address +
      ": set cluster.gang_in_clear = true if that network is trusted or encrypts by itself "
      "(WireGuard, IPsec), or MASTER_ADDR=127.0.0.1 if all trainers are on this machine");
}

}  // namespace longshot::loop
