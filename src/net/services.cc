#include "net/services.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/os/stop.h"

namespace longshot::net {
namespace {

constexpr double kLongestRetryAfter = 60;

// Why the request should be repeated; ok if it should not.
Status failure_of(const Result<Services::Answer>& answer) {
  const Status status =
      answer.ok() ? check_http_status(answer->reply, answer->who) : answer.status();
  const StatusCode code = status.code();
  const bool worth = code == StatusCode::unavailable || code == StatusCode::timeout;
  return worth ? status : ok_status();
}

// The lengths of the pauses between the rounds of a request.
class Pauses {
 public:
  explicit Pauses(const Retries& retries)
      : next_(retries.pause_seconds), longest_(retries.longest_pause_seconds) {}

  // Notes a failure of the current round and what its reply demands.
  void note(const Result<Services::Answer>& answer) {
    const double seconds = answer.ok() ? answer->reply.retry_after : 0;
    demanded_ = first_ ? seconds : std::min(demanded_, seconds);
    first_ = false;
  }
  // Ends the round; returns the seconds until the next one.
  double end_round() {
    const double seconds = std::max(next_, std::min(demanded_, kLongestRetryAfter));
    next_ = std::min(2 * next_, longest_);
    first_ = true;
    return seconds;
  }

 private:
  double next_;
  const double longest_;
  double demanded_ = 0;  // the shortest that a reply of this round demands
  bool first_ = true;    // the round has no failure yet
};

}  // namespace

Result<std::vector<Url>> read_urls(const Json& options, const std::string& path,
                                   const std::string& who, const std::string& hint) {
  const auto found = options.is_object() ? options.find("url") : options.end();
  if (found == options.end()) return invalid_argument(who + ": needs 'url', " + hint);
  const Json list = found->is_array() ? *found : Json::array({*found});
  if (list.empty()) return invalid_argument(who + ": 'url' is an empty list");
  std::vector<Url> urls;
  for (const Json& entry : list) {
    if (!entry.is_string())
      return invalid_argument(who + ": 'url' must be a text, or a list of texts");
    LS_ASSIGN_OR_RETURN(Url url, parse_url(entry.get<std::string>(), who));
    if (url.path == "/") url.path = path;
    urls.push_back(std::move(url));
  }
  return urls;
}

Result<Services::Answer> Services::send(const std::string& request, Deadline deadline) {
  Pauses pauses(retries_);
  // Each request has its own round, so that requests at the same time do not send a repetition to
  // the replica that has just failed.
  const size_t first = next_++;
  for (int tried = 1;; ++tried) {
    const Deadline own = std::min(deadline, Deadline::after_seconds(retries_.request_seconds));
    const size_t replica = (first + static_cast<size_t>(tried) - 1) % urls_.size();
    auto answer = send_once(urls_[replica], request, own);
    const Status failure = failure_of(answer);
    if (failure.ok()) return answer;
    if (tried > retries_.count) return failure;
    pauses.note(answer);
    if (static_cast<size_t>(tried) % urls_.size() == 0)
      pause(failure, pauses.end_round(), deadline);
    if (deadline.expired()) return failure;
  }
}

void Services::pause(const Status& failure, double seconds, Deadline deadline) const {
  if (retries_.log)
    log::warn("{}; the request is repeated in {:.3g} s", failure.message(), seconds);
  sleep_unless_stopped(std::min(deadline, Deadline::after_seconds(seconds)));
}

Result<Services::Answer> Services::send_once(const Url& url, const std::string& request,
                                             Deadline deadline) {
  const std::string who = who_ + ": " + url.server;
  LS_ASSIGN_OR_RETURN(HttpReply reply, client_.post(url, request, deadline, who));
  return Answer{std::move(reply), who};
}

Result<Json> Services::post(const Json& request, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const Answer answer, send(dump_json(request), deadline));
  LS_RETURN_IF_ERROR(check_http_status(answer.reply, answer.who));
  auto json = parse_json(answer.reply.body, answer.who);
  if (!json.ok() || !json->is_object()) {
    return invalid_argument(
        answer.who + ": the reply is not a JSON object: " + answer.reply.body.substr(0, 200));
  }
  return json;
}

}  // namespace longshot::net
