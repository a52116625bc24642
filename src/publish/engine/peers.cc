#include "publish/engine/peers.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <thread>
#include <tuple>

#include "base/log.h"
#include "base/os/stop.h"
#include "base/rng.h"
#include "net/bulk/http_get.h"

namespace longshot::publish {
namespace {

constexpr uint64_t kMostState = 1 << 20, kMostManifest = 256 << 20;  // bytes
constexpr int kMostFailures = 6;
constexpr double kFirstRest = 0.05, kLongestRest = 2;  // seconds
constexpr double kManifestSeconds = 5;                 // a peer that is alive has it at hand
constexpr int kUnknownReaders = 1 << 20;  // of a peer that does not answer, or was not asked
constexpr size_t kMostInspected = 16;     // enough to find an idle one among very many
constexpr double kStartSeconds = 2;       // for a peer to begin to fetch the version
constexpr double kGrowSeconds = 15;       // without a new chunk, after which a peer fetches no more

std::string who(const std::string& peer) {
  return "peer " + peer;
}

Result<net::Url> url_of(const std::string& peer, const std::string& path) {
  LS_ASSIGN_OR_RETURN(net::Url url, net::parse_url(peer, "a peer"));
  url.path = path;
  return url;
}

}  // namespace

Result<ServerState> fetch_state(const std::string& peer, const std::string& run,
                                const net::Credentials& credentials, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const net::Url url, url_of(peer, "/v1/checkpoints/" + run));
  LS_ASSIGN_OR_RETURN(const std::string text,
                      net::http_get(url, credentials, kMostState, deadline));
  return parse_server_state(text, who(peer));
}

Result<Manifest> fetch_manifest(const std::string& peer, const std::string& run,
                                std::optional<VersionId> id, const net::Credentials& credentials,
                                Deadline deadline) {
  const std::string path =
      fmt::format("/v1/checkpoints/{}/{}/manifest", run, id ? url_name(*id) : "latest");
  LS_ASSIGN_OR_RETURN(const net::Url url, url_of(peer, path));
  LS_ASSIGN_OR_RETURN(const std::string text,
                      net::http_get(url, credentials, kMostManifest,
                                    std::min(deadline, Deadline::after_seconds(kManifestSeconds))));
  LS_ASSIGN_OR_RETURN(Manifest manifest, parse_manifest(text, who(peer) + ": manifest"));
  if (manifest.run == run && (!id || id_of(manifest) == *id)) return manifest;
  return corrupt(fmt::format("{}: sent the manifest of {} of run '{}'", who(peer),
                             to_string(id_of(manifest)), manifest.run));
}

Result<Pieces> fetch_pieces(const net::Url& peer, const Manifest& manifest, size_t chunks,
                            const net::Credentials& credentials, Deadline deadline) {
  net::Url url = peer;
  url.path = fmt::format("/v1/checkpoints/{}/{}/pieces", manifest.run, url_name(id_of(manifest)));
  LS_ASSIGN_OR_RETURN(const std::string text,
                      net::http_get(url, credentials, kMostState, deadline));
  return parse_pieces(text, chunks, who(peer.server) + ": pieces");
}

Result<std::unique_ptr<Peers>> Peers::create(const std::vector<std::string>& urls,
                                             const std::string& host_name,
                                             std::function<bool()> wanted) {
  if (urls.empty()) return invalid_argument("there is no peer to fetch the weights from");
  std::vector<Peer> peers;
  for (const std::string& text : urls) {
    LS_ASSIGN_OR_RETURN(const net::Url url, net::parse_url(text, "a peer"));
    peers.push_back({.url = url, .tie = hash_combine(hash64(host_name), hash64(url.server))});
  }
  return std::unique_ptr<Peers>(new Peers(std::move(peers), std::move(wanted)));
}

void Peers::inspect(const Manifest& manifest, const net::Credentials& credentials,
                    Deadline deadline) {
  if (peers_.size() < 2) return;
  std::vector<Peer*> order;
  for (Peer& peer : peers_) order.push_back(&peer);
  std::sort(order.begin(), order.end(),
            [](const Peer* a, const Peer* b) { return a->tie < b->tie; });
  std::vector<std::thread> threads;
  for (size_t i = 0; i < order.size(); ++i) {
    order[i]->readers = kUnknownReaders;
    if (i >= kMostInspected && order[i] != &peers_.front()) continue;
    Peer& peer = *order[i];
    threads.emplace_back([&, this] { inspect_one(peer, manifest, credentials, deadline); });
  }
  for (std::thread& thread : threads) thread.join();
}

void Peers::inspect_one(Peer& peer, const Manifest& manifest, const net::Credentials& credentials,
                        Deadline deadline) {
  const auto state = fetch_state(peer.url.server, manifest.run, credentials, deadline);
  std::lock_guard lock(mutex_);
  peer.readers = state.ok() ? state->readers : kUnknownReaders;
  if (!state.ok()) {
    last_failure_ = state.status();
    return;
  }
  const bool has = std::any_of(state->versions.begin(), state->versions.end(),
                               [&](const auto& v) { return v.id == id_of(manifest); });
  if (has) return;
  peer.pieces = {};
  peer.grows_until = Deadline::after_seconds(kStartSeconds);
  last_failure_ =
      not_found(fmt::format("{}: does not have {}", peer.url.server, to_string(id_of(manifest))));
}

bool Peers::Peer::has(const std::optional<ChunkRange>& chunks) const {
  return chunks ? pieces.have(chunks->first, chunks->end) : pieces.complete;
}

std::optional<size_t> Peers::best(const Want& want) const {
  std::optional<size_t> found;
  const auto rank = [&](size_t i) {
    const Peer& peer = peers_[i];
    return std::tuple(want.avoid == i, peer.failures, want.prefers_growing && peer.pieces.complete,
                      peer.readers + peer.own, peer.tie);
  };
  for (size_t i = 0; i < peers_.size(); ++i) {
    const Peer& peer = peers_[i];
    if (!peer.may_help() || !peer.has(want.chunks) || !peer.rests_until.expired()) continue;
    if (!found || rank(i) < rank(*found)) found = i;
  }
  return found;
}

bool Peers::is_growing_somewhere(const ChunkRange& chunks) const {
  return std::any_of(peers_.begin(), peers_.end(), [&](const Peer& peer) {
    return !peer.pieces.complete && peer.may_help() && peer.has(chunks);
  });
}

size_t Peers::next_of(const std::vector<ChunkRange>& ranges, bool prefers_growing,
                      uint64_t random) {
  std::lock_guard lock(mutex_);
  const auto complete = [](const Peer& peer) { return peer.pieces.complete; };
  if (std::all_of(peers_.begin(), peers_.end(), complete)) return 0;
  const auto gives = [](const Peer& peer) { return peer.pieces.complete && !peer.given_up; };
  const bool wants_growing = prefers_growing || std::none_of(peers_.begin(), peers_.end(), gives);
  const size_t start = random % ranges.size();
  for (size_t i = 0; i < ranges.size(); ++i) {
    const size_t index = (start + i) % ranges.size();
    if (is_growing_somewhere(ranges[index]) == wants_growing) return index;
  }
  return start;
}

std::vector<Peers::Choice> Peers::incomplete() {
  std::lock_guard lock(mutex_);
  std::vector<Choice> found;
  for (size_t i = 0; i < peers_.size(); ++i)
    if (!peers_[i].pieces.complete && !peers_[i].given_up) found.push_back({i, peers_[i].url});
  return found;
}

void Peers::set_pieces(size_t index, Pieces pieces) {
  std::lock_guard lock(mutex_);
  Peer& peer = peers_[index];
  if (pieces.complete || pieces.chunks != peer.pieces.chunks)
    peer.grows_until = Deadline::after_seconds(kGrowSeconds);
  peer.pieces = std::move(pieces);
}

Result<Peers::Choice> Peers::choose(const Want& want, Deadline deadline) {
  while (true) {
    if (wanted_ && !wanted_()) return unavailable("the version is not wanted any more");
    {
      std::lock_guard lock(mutex_);
      if (std::none_of(peers_.begin(), peers_.end(), [](const Peer& p) { return p.may_help(); }))
        return last_failure_;
      if (const auto found = best(want)) {
        ++peers_[*found].own;
        return Choice{*found, peers_[*found].url};
      }
    }
    if (deadline.expired()) return timeout_error("no peer could be asked in time");
    if (!sleep_unless_stopped(std::min(deadline, Deadline::after_seconds(0.01))))
      return cancelled("stopped");
  }
}

void Peers::succeeded(size_t index) {
  std::lock_guard lock(mutex_);
  peers_[index].failures = 0;
}

void Peers::failed(size_t index, const Status& status, bool for_good) {
  std::lock_guard lock(mutex_);
  Peer& peer = peers_[index];
  last_failure_ = status;
  const double rest = std::min(kFirstRest * static_cast<double>(1 << peer.failures), kLongestRest);
  peer.rests_until = Deadline::after_seconds(rest);
  const bool refused =
      status.code() == StatusCode::not_found || status.code() == StatusCode::invalid_argument;
  if (++peer.failures >= kMostFailures || for_good || refused) peer.given_up = true;
  log::warn("weights: {}{}", status.message(),
            peer.given_up ? "; this peer is not asked again" : "");
}

void Peers::release(size_t index) {
  std::lock_guard lock(mutex_);
  --peers_[index].own;
}

}  // namespace longshot::publish
