#include "curate/tests/url_author.h"

#include <algorithm>

#include "base/json.h"
#include "base/log.h"
#include "base/os/clock.h"
#include "base/os/stop.h"
#include "net/http_client.h"

namespace longshot::curate {
namespace {

constexpr double kLongestPause = 60;

std::map<std::string, std::string> headers_of(const UrlAuthorOptions& options) {
  if (options.api_key.empty()) return {};
  return {{"Authorization", "Bearer " + options.api_key}};
}

// Returns invalid_argument for statuses that every request would get.
Status check_reply(const net::HttpReply& reply, const std::string& who) {
  const Status status = net::check_http_status(reply, who);
  if (status.ok() || status.code() == StatusCode::unavailable) return status;
  if (reply.status == 401 || reply.status == 403)
    return invalid_argument(status.message() + " (check --api-key)");
  if (reply.status == 404) return invalid_argument(status.message() + " (check --url and --model)");
  return corrupt(status.message());
}

Result<std::string> text_of(const std::string& body, const std::string& who) {
  const auto json = parse_json(body, who);
  const auto text = json.ok() && json->is_object()
                        ? json->value(Json::json_pointer("/choices/0/message/content"), Json())
                        : Json();
  if (text.is_string()) return text.get<std::string>();
  return corrupt(who + ": no chat completion: " + body.substr(0, 200));
}

class UrlAuthor : public Author {
 public:
  UrlAuthor(UrlAuthorOptions options, net::Url url)
      : options_(std::move(options)),
        url_(std::move(url)),
        who_(url_.server + url_.path),
        client_(headers_of(options_)) {}

  Result<std::string> write(const std::vector<data::Message>& request, int attempt) override {
    const std::string body = body_of(request, attempt);
    double seconds = options_.pause_seconds;
    for (int retry = 0;; ++retry, seconds = std::min(2 * seconds, kLongestPause)) {
      auto text = ask(body);
      const StatusCode code = text.status().code();
      const bool again = code == StatusCode::unavailable || code == StatusCode::timeout;
      if (!again || retry == options_.retries) return text;
      log::warn("{}; asked again in {:g} s", text.status().message(), seconds);
      sleep_unless_stopped(Deadline::after_seconds(seconds));
    }
  }

 private:
  std::string body_of(const std::vector<data::Message>& request, int attempt) const {
    Json messages = Json::array();
    if (!options_.system.empty())
      messages.push_back({{"role", "system"}, {"content", options_.system}});
    for (const auto& m : request) messages.push_back(Json(data::to_json(m)));
    Json body = {{"model", options_.model},
                 {"messages", std::move(messages)},
                 {"temperature", options_.temperature},
                 {"top_p", options_.top_p},
                 {"max_tokens", options_.max_tokens}};
    if (!options_.stop.empty()) body["stop"] = options_.stop;
    if (options_.seed) body["seed"] = *options_.seed + static_cast<uint64_t>(attempt);
    return dump_json(body);
  }

  Result<std::string> ask(const std::string& body) {
    const Deadline deadline = Deadline::after_seconds(options_.timeout_seconds);
    LS_ASSIGN_OR_RETURN(const auto reply, client_.post(url_, body, deadline, who_));
    LS_RETURN_IF_ERROR(check_reply(reply, who_));
    return text_of(reply.body, who_);
  }

  const UrlAuthorOptions options_;
  const net::Url url_;
  const std::string who_;
  net::HttpClient client_;
};

}  // namespace

Result<std::unique_ptr<Author>> make_url_author(const UrlAuthorOptions& options) {
  LS_ASSIGN_OR_RETURN(net::Url url, net::parse_url(options.url, "--url"));
  while (url.path.ends_with('/')) url.path.pop_back();
  if (!url.path.ends_with("/chat/completions")) url.path += "/chat/completions";
  return std::unique_ptr<Author>(std::make_unique<UrlAuthor>(options, std::move(url)));
}

}  // namespace longshot::curate
