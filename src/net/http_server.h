#pragma once
// Routes over HTTP/1.1: sockets, threads, authorization, access log, counting. What is answered is the routes'
// business.

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "net/reply.h"
#include "net/request_metrics.h"

namespace longshot::net {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8000;  // 0: any free one
  std::string
      api_key;  // asked for as "Authorization: Bearer KEY" by all routes but /health; empty: none
  int connections = 512;   // requests with a body answered at the same time; more wait
  bool access_log = true;  // one line a request, without /health and /metrics
};

// All functions are thread-safe.
class HttpServer {
 public:
  // Listens when it returns. Error: the address cannot be bound.
  static Result<std::unique_ptr<HttpServer>> start(const HttpOptions& options,
                                                   std::vector<Route> routes,
                                                   RequestMetrics& requests);
  ~HttpServer();  // waits for the requests in flight

  int port() const;
  // From now on requests are answered with 503, so that those in flight can finish.
  void refuse_new();
  // Waits until no request is in flight; false if the time is over before.
  bool drain(double seconds);
  int in_flight() const;

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshot::net
