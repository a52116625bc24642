#pragma once
// JSON requests of the rewards to services, with a deadline that holds whatever the service does.

#include <map>
#include <memory>
#include <string>

#include "base/os/clock.h"
#include "base/status.h"

namespace longshot::net {

struct Url {
  std::string server;  // "http://host:port"
  std::string path;    // "/" and more
};
// `who` begins the error's message.
Result<Url> parse_url(const std::string& text, const std::string& who);

struct HttpReply {
  int status = 0;
  std::string body;
};

// Thread-safe.
class HttpClient {
 public:
  explicit HttpClient(std::map<std::string, std::string> headers = {});
  ~HttpClient();

  // Any status is a value. timeout and cancelled (by stop_requested()) soon after they are due; unavailable: no
  // connection, or it broke; corrupt: a reply that is too long. `who` begins the messages.
  Result<HttpReply> post(const Url& url, std::string body, Deadline deadline,
                         const std::string& who);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// unavailable for statuses that are worth a retry (5xx, 408, 429), invalid_argument for others but 2xx.
Status check_http_status(const HttpReply& reply, const std::string& who);

}  // namespace longshot::net
