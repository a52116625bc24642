#pragma once
// Routes over HTTP/1.1: sockets, threads, authorization, access log, request metrics. The routes'
// handlers decide about the answers.

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "net/reply.h"
#include "net/request_metrics.h"
#include "net/tls/tls_identity.h"

namespace longshot::net {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8000;  // 0: any free one
  // Required as "Authorization: Bearer KEY" by all routes except /health and /v1/healthz; empty: no
  // key is needed.
  std::string api_key;
  // Requests with a body or a large answer that are answered at the same time; further ones wait.
  int connections = 512;
  std::shared_ptr<const IdentityFolder> tls = nullptr;  // HTTPS, for its authority's clients
  bool access_log = true;  // one line per request, except for health checks and /metrics
};

// All functions are thread-safe.
class HttpServer {
 public:
  // Returns when the server is listening. Error: the address cannot be bound.
  static Result<std::unique_ptr<HttpServer>> start(const HttpOptions& options,
                                                   std::vector<Route> routes,
                                                   RequestMetrics& requests);
  ~HttpServer();  // waits for requests in flight

  int port() const;
  // New requests are answered with 503 from now on, so that those in flight can finish.
  void refuse_new();
  // Waits until no request is in flight; false if the time runs out first.
  bool drain(double seconds);
  int in_flight() const;

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshot::net
