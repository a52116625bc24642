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
    if (i >= kMostInspected) continue;
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
  peer.given_up = true;
  last_failure_ =
      not_found(fmt::format("{}: does not have {}", peer.url.server, to_string(id_of(manifest))));
}

std::optional<size_t> Peers::best(std::optional<size_t> avoid) const {
  std::optional<size_t> found;
  const auto rank = [&](size_t i) {
    const Peer& peer = peers_[i];
    return std::tuple(avoid == i, peer.failures, peer.readers + peer.own, peer.tie);
  };
  for (size_t i = 0; i < peers_.size(); ++i) {
    if (peers_[i].given_up || !peers_[i].rests_until.expired()) continue;
    if (!found || rank(i) < rank(*found)) found = i;
  }
  return found;
}

bool Peers::all_given_up() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const Peer& p) { return p.given_up; });
}

Result<Peers::Choice> Peers::choose(std::optional<size_t> avoid, Deadline deadline) {
  while (true) {
    if (wanted_ && !wanted_()) return unavailable("the version is not wanted any more");
    {
      std::lock_guard lock(mutex_);
      if (all_given_up()) return last_failure_;
      if (const auto found = best(avoid)) {
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
