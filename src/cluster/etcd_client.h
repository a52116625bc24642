#pragma once
// Requests to etcd's JSON gateway (https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/), which
// has the same paths in all later versions. Several members of one cluster are tried in turn.

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/os/clock.h"
#include "cluster/cluster_url.h"
#include "net/http_client.h"

namespace longshot::cluster {

// Thread-safe. Calls ignore stop_requested(), because a clean stop needs them.
class EtcdClient {
 public:
  // Logs in at the first call if there is a user, and again when etcd has forgotten it.
  EtcdClient(const ClusterUrl& url, EtcdAccess access);

  struct Answer {
    Json body;
    bool repeated = false;  // an earlier attempt failed; it may have been executed all the same
  };
  // Repeats the request at the next member until one answers or the deadline has passed. A member
  // without a leader does not answer. Errors: unavailable, naming all endpoints; not_found and
  // exhausted as etcd reports them; invalid_argument for any other refusal, such as of the user,
  // and if etcd's certificate is not accepted.
  Result<Answer> call(const std::string& path, const Json& request, Deadline deadline);

  // One request to one member, whose reply is a sequence of JSON objects. Each is received on the
  // caller's thread, and `done` is called every 20 ms on another. Returns ok when done() returns
  // true, the deadline has passed, or the member ends the reply. Errors: unavailable if the
  // connection fails, and the first error of receive(), which ends the call.
  Status stream(const std::string& path, const Json& request, Deadline deadline,
                const std::function<Status(const Json& object)>& receive,
                const std::function<bool()>& done);
  // Sends the next requests to another member.
  void next_endpoint() { avoid(preferred_); }
  // The next call logs in again.
  void forget_login();

 private:
  Result<Json> call_once(size_t endpoint, const std::string& path, const std::string& request,
                         Deadline deadline);
  Result<net::HttpReply> post(size_t endpoint, const std::string& path, const std::string& request,
                              Deadline deadline);
  Status log_in(size_t endpoint, Deadline deadline);
  net::Url url_of(size_t endpoint, const std::string& path) const;
  std::string who(size_t endpoint) const;
  void avoid(size_t endpoint);

  const std::vector<std::string> endpoints_;
  const bool tls_;
  const EtcdAccess access_;
  net::HttpClient http_;
  std::mutex login_;
  bool logged_in_ = false;  // guarded by login_
  std::atomic<size_t> preferred_{0};
};

}  // namespace longshot::cluster
