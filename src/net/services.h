#pragma once
// Several replicas of an HTTP service that exchanges JSON. Requests go to them in turn, and are
// repeated while the replicas are full or gone.

#include <atomic>
#include <limits>
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

// When a request is repeated. After a failure the next replica gets it at once. After a round in
// which every replica failed there is a pause: `pause_seconds`, doubled with each further round, at
// most `longest_pause_seconds`. It is longer, up to a minute, if every replica of the round named a
// longer one (Retry-After).
struct Retries {
  int count = std::numeric_limits<int>::max();  // the deadline applies in addition
  double request_seconds = 1e9;                 // limit of a single request
  double pause_seconds = 0.1, longest_pause_seconds = 2;
  bool log = false;  // whether each pause is a warning in the log
};

// Thread-safe.
class Services {
 public:
  // At least one url is required. `who` is the prefix of messages.
  Services(std::vector<Url> urls, std::map<std::string, std::string> headers, std::string who,
           Retries retries = {})
      : urls_(std::move(urls)),
        who_(std::move(who)),
        retries_(retries),
        client_(std::move(headers)) {}

  struct Answer {
    HttpReply reply;
    std::string who;  // prefix of messages: `who` and the replica that answered
  };
  // Sends the request to the next replica. If that one is full (check_http_status), unreachable or
  // takes longer than the limit of a request, repeats it. A reply with any other status is a value.
  // Errors: those of HttpClient::post(); unavailable and timeout are those of the last failure,
  // when the deadline or the number of repetitions is reached.
  Result<Answer> send(const std::string& request, Deadline deadline);

  // send(), for a reply that must be a JSON object. In addition: invalid_argument for a refused
  // request and for a reply that is not a JSON object.
  Result<Json> post(const Json& request, Deadline deadline);

 private:
  Result<Answer> send_once(const Url& url, const std::string& request, Deadline deadline);
  void pause(const Status& failure, double seconds, Deadline deadline) const;

  const std::vector<Url> urls_;
  const std::string who_;
  const Retries retries_;
  HttpClient client_;
  std::atomic<size_t> next_{0};
};

}  // namespace longshot::net
