#include "publish/engine/delta_fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>

#include "base/log.h"
#include "net/bulk/http_get.h"
#include "publish/engine/delta.h"

namespace longshot::publish {
namespace {

constexpr double kEncodeSeconds = 30;  // until a peer has encoded the difference

// The whole body; a peer that delivers nothing for a while is an error.
Result<std::string> read_body(net::HttpGet& connection, double stall_seconds, Deadline deadline) {
  std::string body(connection.left(), '\0');
  for (size_t done = 0; done < body.size();) {
    const Deadline end = std::min(deadline, Deadline::after_seconds(stall_seconds));
    LS_ASSIGN_OR_RETURN(const size_t got, connection.read(std::span(body).subspan(done), end));
    done += got;
  }
  return body;
}

// Error: not_found if the peer has no difference.
Result<std::string> ask_peer(const net::Url& url, const Manifest& base, const Manifest& target,
                             const FetchOptions& options, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(auto connection, net::HttpGet::connect(url, options.credentials, deadline));
  connection.wait_while(options.wanted);
  const std::string path = fmt::format("/v1/checkpoints/{}/{}/delta?base={}", target.run,
                                       url_name(id_of(target)), url_name(id_of(base)));
  const Deadline answer = std::min(deadline, Deadline::after_seconds(kEncodeSeconds));
  LS_ASSIGN_OR_RETURN(const net::GetHead head, connection.ask(path, std::nullopt, answer));
  if (head.status != 200) return not_found(fmt::format("{}: status {}", url.server, head.status));
  if (head.length >= target.total_bytes())
    return corrupt(url.server + ": the delta is larger than the version");
  return read_body(connection, options.stall_seconds, deadline);
}

}  // namespace

std::optional<uint64_t> fetch_delta(const Held& base, const Manifest& target, Peers& peers,
                                    VersionWriter& writer, const FetchOptions& options,
                                    Deadline deadline) {
  if (!base || !delta_is_possible(base->manifest(), target)) return std::nullopt;
  const auto choice = peers.choose({}, deadline);
  if (!choice.ok()) return std::nullopt;
  const auto delta = ask_peer(choice->url, base->manifest(), target, options, deadline);
  peers.release(choice->index);
  if (!delta.ok()) {
    if (delta.status().code() != StatusCode::not_found)
      log::warn("weights: {}; the version is fetched whole", delta.status().message());
    return std::nullopt;
  }
  const Status written = write_with_delta(*base, target, *delta, writer);
  if (written.ok()) return delta->size();
  log::warn("weights: {}: {}; the version is fetched whole", choice->url.server, written.message());
  return std::nullopt;
}

}  // namespace longshot::publish
