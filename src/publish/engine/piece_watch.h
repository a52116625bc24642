#pragma once
// Asks the peers that are fetching a version which chunks of it they have.

#include <cstddef>
#include <thread>

#include "net/tls/tls_identity.h"
#include "publish/engine/manifest.h"
#include "publish/engine/peers.h"

namespace longshot::publish {

// Asks for as long as it exists, first after a tenth of a second and then less often, so short
// fetches cost nothing. Does nothing if all peers have the version. The arguments are borrowed.
class PieceWatch {
 public:
  PieceWatch(Peers& peers, const Manifest& manifest, const net::Credentials& credentials);

 private:
  void watch(const std::stop_token& stop);
  void ask_all(const std::stop_token& stop);

  Peers& peers_;
  const Manifest& manifest_;
  const net::Credentials& credentials_;
  const size_t chunks_;
  std::jthread thread_;
};

}  // namespace longshot::publish
