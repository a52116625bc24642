#pragma once
// Serves the versions of a store over HTTP, so that other hosts can fetch them. Routes, all GET and
// HEAD (names as in MoonshotAI's checkpoint-engine where the meaning is the same):
//
//   /v1/healthz                                    always open
//   /v1/checkpoints/RUN                            the versions held and the number of readers
//   /v1/checkpoints/RUN/VERSION/manifest           see manifest.h
//   /v1/checkpoints/RUN/VERSION/data               the safetensors file; single ranges
//   /v1/checkpoints/RUN/VERSION/pieces             which chunks of it are here (growing_version.h)
//   /v1/checkpoints/RUN/VERSION/files/NAME         a small file
//   /v1/checkpoints/RUN/VERSION/delta?base=VERSION the difference to another version (delta.h);
//                                                  404 if the version should be fetched whole
//
// VERSION is "latest", EPOCH-VERSION, or a version alone, which means its highest epoch. A version
// that is still being fetched has only the routes pieces and data, under EPOCH-VERSION; data
// answers 503 for ranges that are not here yet.

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "net/http_server.h"
#include "net/tls/tls_identity.h"
#include "publish/engine/delta_cache.h"
#include "publish/engine/weight_store.h"

namespace longshot::publish {

struct WeightServerOptions {
  std::string host = "127.0.0.1";
  int port = 0;                       // 0: any free one
  net::Credentials credentials = {};  // that readers need
  int readers = 256;                  // answers sent at the same time; further requests wait
  // Versions that are a multiple of this are always sent whole; 0: none is.
  int64_t full_every = 50;
  std::vector<net::Route> routes = {};  // further ones, with the same token
};

// What a server says about itself.
struct ServedVersion {
  VersionId id;
  uint64_t bytes = 0;
  uint64_t fingerprint = 0;  // publish::fingerprint() of its manifest
};
struct ServerState {
  std::string run;
  int readers = 0;                      // answers with data that are being sent
  std::vector<ServedVersion> versions;  // the oldest first
};
std::string to_json(const ServerState& state);
Result<ServerState> parse_server_state(std::string_view text, const std::string& where);

// The name of a version in a url: "EPOCH-VERSION".
std::string url_name(VersionId id);

// Thread-safe. The store must outlive it.
class WeightServer {
 public:
  // Error: the address cannot be bound.
  static Result<std::unique_ptr<WeightServer>> start(WeightStore& store,
                                                     const WeightServerOptions& options);

  int port() const { return http_->port(); }
  int readers() const { return *readers_; }
  // Refuses new requests and waits for those in flight; false if the time runs out first.
  bool stop(double seconds);

 private:
  WeightServer(WeightStore& store, int64_t full_every) : store_(store), full_every_(full_every) {}
  net::Reply state() const;
  net::Reply answer(const net::Call& call) const;
  net::Reply answer_growing(const std::string& version, std::string_view what,
                            const net::Call& call) const;
  net::Reply data(std::string_view bytes, std::shared_ptr<const void> owner,
                  const net::Call& call) const;
  net::Reply delta(const Held& held, const net::Call& call) const;

  WeightStore& store_;
  const int64_t full_every_;
  mutable DeltaCache deltas_;
  // Shared with answers that are being sent.
  std::shared_ptr<std::atomic<int>> readers_ = std::make_shared<std::atomic<int>>(0);
  net::RequestMetrics requests_;
  std::unique_ptr<net::HttpServer> http_;  // last: its threads use the members above
};

}  // namespace longshot::publish
