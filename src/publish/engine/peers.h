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
#include "publish/engine/growing_version.h"
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

// The chunks of a version that a peer has now.
Result<Pieces> fetch_pieces(const net::Url& peer, const Manifest& manifest, size_t chunks,
                            const net::Credentials& credentials, Deadline deadline);

// Chunks [first, end) of a version.
struct ChunkRange {
  size_t first = 0, end = 0;
};

// Chooses peers so that load spreads: the one with the fewest readers first, those that peers
// report and one's own; ties are decided by a hash of this host's name and the peer's url, so that
// hosts choose differently. A peer that failed comes after those that did not; it rests for a
// while, longer after each failure in a row, and is given up after six.
//
// A peer may be fetching the version itself. Each stream of a fetch prefers either such peers or
// the complete ones. A stream that prefers complete peers asks them for chunks that no other peer
// has yet, and each host asks for different ones. So the complete peers send each chunk about once.
// Thread-safe.
class Peers {
 public:
  // `wanted` is asked before each choice, on any thread; null: the version is always wanted. Error:
  // invalid_argument for an url.
  static Result<std::unique_ptr<Peers>> create(const std::vector<std::string>& urls,
                                               const std::string& host_name,
                                               std::function<bool()> wanted = nullptr);

  // Asks the peers at the same time how many readers they have. If there are many, asks the first
  // one and sixteen others, which depend on the host. A peer that does not answer or was not asked
  // comes last. Must be called before other functions.
  void inspect(const Manifest& manifest, const net::Credentials& credentials, Deadline deadline);

  struct Choice {
    size_t index = 0;
    net::Url url;
  };
  // What a stream asks for: chunks, or anything of a version (which complete peers have only).
  struct Want {
    std::optional<ChunkRange> chunks = {};
    bool prefers_growing = false;
    std::optional<size_t> avoid = {};  // a peer that is chosen only if there is no other
  };
  // The best peer that has what is wanted and is not resting. Waits while all of them are resting.
  // release() must be called after use. Errors: the last failure if none is left that could help;
  // timeout; cancelled by stop_requested(); unavailable if the version is not wanted any more.
  Result<Choice> choose(const Want& want, Deadline deadline);
  // The index of the chunks that should be asked for first. `random` decides between equal ones.
  size_t next_of(const std::vector<ChunkRange>& ranges, bool prefers_growing, uint64_t random);

  // Peers without the complete version that were asked and answered. They may be fetching it.
  std::vector<Choice> incomplete();
  void set_pieces(size_t index, Pieces pieces);

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
    Pieces pieces{.complete = true};                    // as far as is known
    Deadline grows_until = Deadline::after_seconds(0);  // counts as fetching until then

    bool has(const std::optional<ChunkRange>& chunks) const;
    bool may_help() const { return !given_up && (pieces.complete || !grows_until.expired()); }
  };
  Peers(std::vector<Peer> peers, std::function<bool()> wanted)
      : wanted_(std::move(wanted)), peers_(std::move(peers)) {}
  void inspect_one(Peer& peer, const Manifest& manifest, const net::Credentials& credentials,
                   Deadline deadline);
  std::optional<size_t> best(const Want& want) const;
  bool is_growing_somewhere(const ChunkRange& chunks) const;

  const std::function<bool()> wanted_;
  std::mutex mutex_;
  std::vector<Peer> peers_;
  Status last_failure_;
};

}  // namespace longshot::publish
