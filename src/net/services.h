#pragma once
// Several replicas of an HTTP service that exchanges JSON. Requests go to them in turn.

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "net/http_client.h"

namespace longshot::net {

// options["url"] is a text or a list of texts; a url without a path gets `path`. `who` is the
// prefix of error messages; `hint` ends the message for a missing url.
Result<std::vector<Url>> read_urls(const Json& options, const std::string& path,
                                   const std::string& who, const std::string& hint);

// Thread-safe.
class Services {
 public:
  // At least one url is required.
  Services(std::vector<Url> urls, std::map<std::string, std::string> headers, std::string who)
      : urls_(std::move(urls)), who_(std::move(who)), client_(std::move(headers)) {}

  // Sends the request to the next replica. If that one is full or unreachable, tries the following
  // ones until the deadline. Errors: timeout, cancelled, unavailable; corrupt for a reply that is
  // too long; invalid_argument for a refused request and for a reply that is not a JSON object.
  Result<Json> post(const Json& request, Deadline deadline);

 private:
  Result<Json> post_once(const Url& url, const std::string& request, Deadline deadline);

  const std::vector<Url> urls_;
  const std::string who_;
  HttpClient client_;
  std::atomic<size_t> next_{0};
};

}  // namespace longshot::net
