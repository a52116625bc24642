#pragma once
// The servers from which a version can be fetched, and which of them is asked next.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/os/clock.h"
#include "base/status.h"
#include "net/http_client.h"
#include "net/tls/tls_identity.h"
#include "publish/engine/manifest.h"
#include "publish/engine/weight_server.h"

namespace longshot::publish {

// A peer is the url of a WeightServer, "http://host:port" or "https://...". All functions return by
// the deadline, and their errors name the peer.
Result<ServerState> fetch_state(const std::string& peer, const std::string& run,
                                const net::Credentials& credentials, Deadline deadline);
// Of the newest version if `id` is empty.
Result<Manifest> fetch_manifest(const std::string& peer, const std::string& run,
                                std::optional<VersionId> id, const net::Credentials& credentials,
                                Deadline deadline);

// Chooses peers so that load spreads: the one with the fewest readers first, those that peers
// report and one's own; ties are decided by a hash of this host's name and the peer's url, so that
// hosts choose differently. A peer that failed comes after those that did not; it rests for a
// while, longer after each failure in a row, and is given up after six. Thread-safe.
class Peers {
 public:
  // `wanted` is asked before each choice, on any thread; null: the version is always wanted. Error:
  // invalid_argument for an url.
  static Result<std::unique_ptr<Peers>> create(const std::vector<std::string>& urls,
                                               const std::string& host_name,
                                               std::function<bool()> wanted = nullptr);

  // Asks the peers at the same time how many readers they have, or sixteen of them, which depend on
  // the host, if there are more. A peer that answers that it does not have the version is given up;
  // one that does not answer or was not asked comes last. Must be called before other functions.
  void inspect(const Manifest& manifest, const net::Credentials& credentials, Deadline deadline);

  struct Choice {
    size_t index = 0;
    net::Url url;
  };
  // The best peer that does not rest; `avoid` only if there is no other. Waits while all of them
  // rest. release() must be called after use. Errors: the last failure if all are given up;
  // timeout; cancelled by stop_requested(); unavailable if the version is not wanted any more.
  Result<Choice> choose(std::optional<size_t> avoid, Deadline deadline);
  // The peer delivered something: earlier failures are forgotten.
  void succeeded(size_t index);
  // `for_good`: the peer cannot help with this version. So it is with not_found and
  // invalid_argument, whatever `for_good` says.
  void failed(size_t index, const Status& status, bool for_good);
  void release(size_t index);

  size_t count() const { return peers_.size(); }

 private:
  struct Peer {
    net::Url url;
    uint64_t tie = 0;
    int readers = 0, own = 0;  // as reported; connections of this fetch
    int failures = 0;          // in a row
    bool given_up = false;
    Deadline rests_until = Deadline::after_seconds(0);
  };
  Peers(std::vector<Peer> peers, std::function<bool()> wanted)
      : wanted_(std::move(wanted)), peers_(std::move(peers)) {}
  void inspect_one(Peer& peer, const Manifest& manifest, const net::Credentials& credentials,
                   Deadline deadline);
  std::optional<size_t> best(std::optional<size_t> avoid) const;
  bool all_given_up() const;

  const std::function<bool()> wanted_;
  std::mutex mutex_;
  std::vector<Peer> peers_;
  Status last_failure_;
};

}  // namespace longshot::publish
