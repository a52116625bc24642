#pragma once
// JSON requests to services, with a deadline that applies no matter how the service behaves.

#include <map>
#include <memory>
#include <string>

#include "base/os/clock.h"
#include "base/status.h"
#include "net/http_reply.h"

namespace longshot::net {

struct Url {
  std::string server;  // "http://host:port"
  std::string path;    // "/" or longer
};
// `who` is the prefix of error messages.
Result<Url> parse_url(const std::string& text, const std::string& who);

// Thread-safe.
class HttpClient {
 public:
  explicit HttpClient(std::map<std::string, std::string> headers = {});
  ~HttpClient();

  // A reply with any status is a value. Errors: timeout and cancelled (by stop_requested()), both
  // reported promptly; unavailable if there is no connection or it breaks; corrupt if the reply is
  // too long. `who` is the prefix of their messages.
  Result<HttpReply> post(const Url& url, std::string body, Deadline deadline,
                         const std::string& who);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshot::net
