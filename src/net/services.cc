#include "net/services.h"

#include "base/os/stop.h"

namespace longshot::net {
namespace {

constexpr double kPauseSeconds = 0.1;  // before the next replica is tried

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

Result<Json> Services::post(const Json& request, Deadline deadline) {
  const std::string text = dump_json(request);
  Status last = timeout_error(who_ + ": no time left");
  while (!deadline.expired()) {
    if (stop_requested()) return cancelled(who_ + ": stopped");
    auto reply = post_once(urls_[next_++ % urls_.size()], text, deadline);
    if (reply.ok() || reply.status().code() != StatusCode::unavailable) return reply;
    last = reply.status();
    sleep_unless_stopped(Deadline::after_seconds(kPauseSeconds));
  }
  return last;
}

Result<Json> Services::post_once(const Url& url, const std::string& request, Deadline deadline) {
  const std::string who = who_ + ": " + url.server;
  LS_ASSIGN_OR_RETURN(const HttpReply reply, client_.post(url, request, deadline, who));
  LS_RETURN_IF_ERROR(check_http_status(reply, who));
  auto json = parse_json(reply.body, who);
  if (!json.ok() || !json->is_object())
    return invalid_argument(who + ": the reply is not a JSON object: " + reply.body.substr(0, 200));
  return json;
}

}  // namespace longshot::net
