#include "cluster/etcd_client.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace longshot::cluster {
namespace {

constexpr double kAttemptSeconds = 3;  // a member that is silent for longer is given up
constexpr double kFirstPause = 0.02, kLongestPause = 0.25;
constexpr size_t kMaxObject = 16 << 20;

// A member that has lost the others must not answer: its data may be old.
const std::map<std::string, std::string> kLeaderHeader = {{"Grpc-Metadata-hasleader", "true"}};

bool contains(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

// The login of an earlier call is not valid any more: its time has passed, etcd was restarted, or
// its users were changed.
bool is_stale_login(const net::HttpReply& reply) {
  return reply.status / 100 != 2 && (contains(reply.body, "invalid auth token") ||
                                     contains(reply.body, "revision of auth store is old"));
}

Status status_of(const net::HttpReply& reply, const std::string& who) {
  if (reply.status == 400 && contains(reply.body, "CommonName of client"))
    return invalid_argument(who +
                            ": an etcd with users refuses certificates of clients that have a "
                            "common name; those of `longshot certificates` have none");
  if (reply.status / 100 != 2 && !parse_json(reply.body, who).ok())
    return unavailable(fmt::format("{}: HTTP {}; is this etcd's client port?", who, reply.status));
  if (reply.status / 100 != 2 && contains(reply.body, "user name is empty"))
    return invalid_argument(who + " has users: give --etcd-login-file (cluster.etcd_login_file)");
  if (reply.status == 404) return not_found(who + ": " + net::error_text(reply.body));
  // etcd is busy, which passes; with any other text its space is used up.
  if (reply.status == 429 && contains(reply.body, "too many requests"))
    return unavailable(who + ": " + net::error_text(reply.body));
  if (reply.status == 429) return exhausted(who + ": " + net::error_text(reply.body));
  return net::check_http_status(reply, who);
}

bool worth_repeating(const Status& status) {
  return status.code() == StatusCode::unavailable || status.code() == StatusCode::timeout;
}

// A server with TLS closes a connection without it, and one without closes a connection with it.
const char* advice(const std::string& problem, bool tls) {
  if (tls) return "; does it use TLS, and has the folder for it the certificate that it wants?";
  // Whichever comes next notices the close: sending the rest of the request, or reading the answer.
  const bool closed = problem.ends_with(": Read") || problem.ends_with(": Write");
  return closed ? "; if it uses TLS, write etcds://" : "";
}

void pause(double seconds, Deadline deadline) {
  std::this_thread::sleep_for(
      std::chrono::duration<double>(std::min(seconds, deadline.seconds_left())));
}

// Cuts a stream of lines into JSON objects.
class Objects {
 public:
  Objects(std::string who, const std::function<Status(const Json&)>& receive)
      : who_(std::move(who)), receive_(receive) {}

  Status add(std::string_view bytes) {
    rest_.append(bytes);
    for (size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n')) {
      const std::string line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      if (line.empty()) continue;
      LS_ASSIGN_OR_RETURN(const Json object, parse_json(line, who_));
      LS_RETURN_IF_ERROR(receive_(object));
    }
    return rest_.size() <= kMaxObject ? ok_status() : corrupt(who_ + ": the reply is too long");
  }

 private:
  const std::string who_;
  const std::function<Status(const Json&)>& receive_;
  std::string rest_;
};

}  // namespace

EtcdClient::EtcdClient(const ClusterUrl& url, EtcdAccess access)
    : endpoints_(url.endpoints),
      tls_(url.tls),
      access_(std::move(access)),
      http_(kLeaderHeader, net::OnStop::finish, access_.tls_dir) {}

net::Url EtcdClient::url_of(size_t endpoint, const std::string& path) const {
  return {(tls_ ? "https://" : "http://") + endpoints_[endpoint], path};
}

std::string EtcdClient::who(size_t endpoint) const {
  return "etcd " + endpoints_[endpoint];
}

void EtcdClient::avoid(size_t endpoint) {
  preferred_.compare_exchange_strong(endpoint, (endpoint + 1) % endpoints_.size());
}

void EtcdClient::forget_login() {
  std::lock_guard lock(login_);
  logged_in_ = false;
}

// https://etcd.io/docs/v3.4/learning/design-auth-v3: later requests show the token of this one.
Status EtcdClient::log_in(size_t endpoint, Deadline deadline) {
  if (access_.user.empty()) return ok_status();
  std::lock_guard lock(login_);
  if (logged_in_) return ok_status();
  const Json request = {{"name", access_.user}, {"password", access_.password}};
  const std::string what = who(endpoint) + ": login of user '" + access_.user + "'";
  // Etcd refuses even a login that shows a token which it has forgotten.
  net::HttpClient without_token(kLeaderHeader, net::OnStop::finish, access_.tls_dir);
  LS_ASSIGN_OR_RETURN(const net::HttpReply reply,
                      without_token.post(url_of(endpoint, "/v3/auth/authenticate"),
                                         dump_json(request), deadline, what));
  LS_RETURN_IF_ERROR(status_of(reply, what));
  LS_ASSIGN_OR_RETURN(const Json json, parse_json(reply.body, what));
  LS_ASSIGN_OR_RETURN(const auto token, json_get<std::string>(json, "token", what));
  http_.set_header("Authorization", token);
  logged_in_ = true;
  return ok_status();
}

Result<net::HttpReply> EtcdClient::post(size_t endpoint, const std::string& path,
                                        const std::string& request, Deadline deadline) {
  LS_RETURN_IF_ERROR(log_in(endpoint, deadline));
  LS_ASSIGN_OR_RETURN(net::HttpReply reply,
                      http_.post(url_of(endpoint, path), request, deadline, who(endpoint)));
  if (!is_stale_login(reply)) return reply;
  forget_login();
  return unavailable(who(endpoint) + ": the login is not valid any more");
}

Result<Json> EtcdClient::call_once(size_t endpoint, const std::string& path,
                                   const std::string& request, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const net::HttpReply reply, post(endpoint, path, request, deadline));
  LS_RETURN_IF_ERROR(status_of(reply, who(endpoint)));
  auto json = parse_json(reply.body, who(endpoint));
  if (json.ok() && json->is_object()) return json;
  return unavailable(who(endpoint) +
                     ": the reply is not a JSON object; is this etcd's client port?");
}

Result<EtcdClient::Answer> EtcdClient::call(const std::string& path, const Json& request,
                                            Deadline deadline) {
  const std::string text = dump_json(request);
  const size_t first = preferred_;
  const size_t count = endpoints_.size();
  double next_pause = kFirstPause;
  Status last = timeout_error("no time left");
  for (size_t tried = 0; !deadline.expired(); ++tried) {
    const size_t endpoint = (first + tried) % count;
    // Each member of a round gets its share of the time that is left.
    const double share = deadline.seconds_left() / static_cast<double>(count - tried % count);
    const Deadline end =
        std::min(deadline, Deadline::after_seconds(std::min(share, kAttemptSeconds)));
    auto reply = call_once(endpoint, path, text, end);
    if (reply.ok()) return Answer{std::move(reply).value(), tried > 0};
    if (!worth_repeating(reply.status())) return reply.status();
    last = reply.status();
    avoid(endpoint);
    if ((tried + 1) % count != 0) continue;
    pause(next_pause, deadline);
    next_pause = std::min(2 * next_pause, kLongestPause);
  }
  return unavailable(fmt::format("etcd at {} did not answer in time: {}{}",
                                 fmt::join(endpoints_, ", "), last.message(),
                                 advice(last.message(), tls_)));
}

Status EtcdClient::stream(const std::string& path, const Json& request, Deadline deadline,
                          const std::function<Status(const Json& object)>& receive,
                          const std::function<bool()>& done) {
  const size_t endpoint = preferred_;
  LS_RETURN_IF_ERROR(
      log_in(endpoint, std::min(deadline, Deadline::after_seconds(kAttemptSeconds))));
  Objects objects(who(endpoint), receive);
  Status received;
  const net::StreamReader reader{[&](std::string_view bytes) {
                                   received = objects.add(bytes);
                                   return received.ok();
                                 },
                                 done};
  const auto reply =
      http_.stream(url_of(endpoint, path), dump_json(request), deadline, who(endpoint), reader);
  LS_RETURN_IF_ERROR(received);
  if (reply.ok()) return status_of(*reply, who(endpoint));
  const StatusCode code = reply.status().code();
  const bool ended = code == StatusCode::cancelled || code == StatusCode::timeout;
  return ended ? ok_status() : reply.status();
}

}  // namespace longshot::cluster
