#include "publish/engine/weight_fetch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/log.h"
#include "base/os/machine.h"
#include "base/os/stop.h"
#include "net/bulk/http_get.h"
#include "publish/engine/delta_fetch.h"
#include "publish/engine/peers.h"

namespace longshot::publish {
namespace {

constexpr double kInspectSeconds = 2;
constexpr double kFileSeconds = 5;  // for one small file from one peer

bool has_same_bits(const Held& held, const Manifest& manifest) {
  return held && held->manifest_text() == to_json(manifest);
}

// Sent by any peer that has the right bytes.
Result<std::string> fetch_file(const Manifest& manifest, const ManifestFile& file, Peers& peers,
                               const net::Credentials& credentials, Deadline deadline) {
  while (true) {
    LS_ASSIGN_OR_RETURN(Peers::Choice choice, peers.choose({}, deadline));
    choice.url.path = fmt::format("/v1/checkpoints/{}/{}/files/{}", manifest.run,
                                  url_name(id_of(manifest)), file.name);
    const Deadline end = std::min(deadline, Deadline::after_seconds(kFileSeconds));
    auto content = net::http_get(choice.url, credentials, file.bytes, end);
    peers.release(choice.index);
    Status status = content.status();
    if (status.code() == StatusCode::cancelled) return status;
    if (content.ok() && checksum(*content) == file.checksum) return content;
    if (content.ok())
      status = corrupt(fmt::format("{}: sent a wrong {}", choice.url.server, file.name));
    peers.failed(choice.index, status, false);
    if (deadline.expired()) return timeout_error(status.message());
  }
}

// Fetches while holding the right to write. Chunks that have arrived are served to other hosts.
Result<Fetched> fetch_now(const Manifest& manifest, Peers& peers, WeightStore& store,
                          VersionWriter writer, const FetchOptions& options, Deadline deadline) {
  const Stopwatch watch;
  const Held base = store.latest();
  LS_RETURN_IF_ERROR(writer.reserve(id_of(manifest), manifest.total_bytes()));
  peers.inspect(manifest, options.credentials,
                std::min(deadline, Deadline::after_seconds(kInspectSeconds)));
  // These come first, because only peers with the whole version have them, and such a peer may be
  // lost.
  for (const ManifestFile& file : manifest.files) {
    LS_ASSIGN_OR_RETURN(const std::string content,
                        fetch_file(manifest, file, peers, options.credentials, deadline));
    LS_RETURN_IF_ERROR(writer.add_file(file.name, content));
  }
  const auto delta = fetch_delta(base, manifest, peers, writer, options, deadline);
  LS_ASSIGN_OR_RETURN(const auto growing, writer.show(manifest));
  Transfer transfer(manifest, writer, *growing, peers, options, deadline);
  if (!delta) LS_RETURN_IF_ERROR(transfer.run());
  LS_ASSIGN_OR_RETURN(Held held, writer.commit(manifest));
  const uint64_t bytes = delta ? *delta : transfer.received();
  const double mib = static_cast<double>(bytes) / kMiB;
  log::info("weights: fetched {} of run '{}'{}: {:.1f} MiB in {:.2f} s ({:.0f} MiB/s)",
            to_string(id_of(manifest)), manifest.run, delta ? " as a delta" : "", mib,
            watch.seconds(), mib / watch.seconds());
  return Fetched{std::move(held), bytes, delta.has_value(), watch.seconds()};
}

// A version, and a peer that has it.
struct Offer {
  VersionId id;
  std::string peer;
};

Result<Offer> newest_offer(const std::vector<std::string>& peers, const std::string& run,
                           const net::Credentials& credentials, Deadline deadline) {
  Status failure = not_found("no peer has a version of run '" + run + "' yet");
  std::optional<Offer> best;
  bool answered = false;
  for (const std::string& peer : peers) {
    const auto state = fetch_state(peer, run, credentials,
                                   std::min(deadline, Deadline::after_seconds(kInspectSeconds)));
    if (!state.ok() && !answered) failure = state.status();
    if (!state.ok()) continue;
    if (!answered) failure = not_found("no peer has a version of run '" + run + "' yet");
    answered = true;
    if (state->versions.empty()) continue;
    const VersionId id = state->versions.back().id;
    if (!best || best->id < id) best = Offer{id, peer};
  }
  if (best) return *best;
  return failure;
}

}  // namespace

Result<Fetched> fetch_newest(const std::vector<std::string>& peers, WeightStore& store,
                             const FetchOptions& options, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const Offer offer,
                      newest_offer(peers, store.run(), options.credentials, deadline));
  const Held held = store.latest();
  if (held && id_of(held->manifest()) >= offer.id) return Fetched{held, 0, false, 0};
  LS_ASSIGN_OR_RETURN(const Manifest manifest, fetch_manifest(offer.peer, store.run(), offer.id,
                                                              options.credentials, deadline));
  return fetch(manifest, peers, store, options, deadline);
}

Result<Fetched> fetch(const Manifest& manifest, const std::vector<std::string>& urls,
                      WeightStore& store, const FetchOptions& options, Deadline deadline) {
  const Stopwatch watch;
  if (manifest.run != store.run())
    return invalid_argument("the store holds run '" + store.run() + "', not '" + manifest.run +
                            "'");
  FetchOptions own = options;
  if (own.host_name.empty()) own.host_name = fmt::format("{}-{}", host_name(), ::getpid());
  LS_ASSIGN_OR_RETURN(const auto peers, Peers::create(urls, own.host_name, own.wanted));
  while (true) {
    LS_ASSIGN_OR_RETURN(auto writer, store.try_write());
    // Looked up after the lock, because its last holder may have fetched the version.
    if (Held held = store.find(id_of(manifest)); has_same_bits(held, manifest))
      return Fetched{std::move(held), 0, false, watch.seconds()};
    if (writer) return fetch_now(manifest, *peers, store, std::move(*writer), own, deadline);
    if (deadline.expired()) {
      return timeout_error(fmt::format("{}: another process of this host is still fetching {}",
                                       store.folder().string(), to_string(id_of(manifest))));
    }
    if (!sleep_unless_stopped(std::min(deadline, Deadline::after_seconds(0.02))))
      return cancelled("stopped while another process was fetching the weights");
  }
}

}  // namespace longshot::publish
