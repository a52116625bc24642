#pragma once
// Several copies of one HTTP service that answer JSON with JSON, asked in turn.

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "net/http_client.h"

namespace longshot::net {

// options["url"]: a text or a list of texts; one without a path gets `path`. `who` begins the messages, `hint` ends the one
// for a missing url.
Result<std::vector<Url>> read_urls(const Json& options, const std::string& path,
                                   const std::string& who, const std::string& hint);

// Thread-safe.
class Services {
 public:
  // At least one url.
  Services(std::vector<Url> urls, std::map<std::string, std::string> headers, std::string who)
      : urls_(std::move(urls)), who_(std::move(who)), client_(std::move(headers)) {}

  // A copy that is full or gone is followed by the next, until the deadline. Errors: timeout, cancelled, unavailable;
  // invalid_argument for a request that is refused, and for an answer that is no JSON object.
  Result<Json> post(const Json& request, Deadline deadline);

 private:
  Result<Json> post_once(const Url& url, const std::string& request, Deadline deadline);

  const std::vector<Url> urls_;
  const std::string who_;
  HttpClient client_;
  std::atomic<size_t> next_{0};
};

}  // namespace longshot::net
