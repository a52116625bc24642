#include "curate/tests/url_author.h"

#include "net/chat_client.h"

namespace longshot::curate {
namespace {

constexpr double kLongestPause = 60;

std::map<std::string, std::string> headers_of(const UrlAuthorOptions& options) {
  if (options.api_key.empty()) return {};
  return {{"Authorization", "Bearer " + options.api_key}};
}

net::Retries retries_of(const UrlAuthorOptions& options) {
  return {.count = options.retries,
          .request_seconds = options.timeout_seconds,
          .pause_seconds = options.pause_seconds,
          .longest_pause_seconds = kLongestPause,
          .log = true};
}

class UrlAuthor : public Author {
 public:
  UrlAuthor(UrlAuthorOptions options, const net::Url& url)
      : options_(std::move(options)),
        client_({url}, headers_of(options_), "--url", retries_of(options_)) {}

  Result<std::string> write(const std::vector<data::Message>& request, int attempt) override {
    const auto choices = client_.ask(query(request, attempt), Deadline::never());
    if (choices.status().code() == StatusCode::invalid_argument) {
      return invalid_argument(choices.status().message() + " (check --url, --model and --api-key)");
    }
    LS_RETURN_IF_ERROR(choices.status());
    const net::ChatChoice& choice = choices->front();
    if (choice.content.empty()) return corrupt("--url: no generator: " + choice.defect());
    return choice.content;
  }

 private:
  net::ChatQuery query(const std::vector<data::Message>& request, int attempt) const {
    net::ChatQuery query;
    if (!options_.system.empty()) query.messages.push_back({"system", options_.system});
    query.messages.insert(query.messages.end(), request.begin(), request.end());
    query.model = options_.model;
    query.max_tokens = options_.max_tokens;
    query.temperature = options_.temperature;
    query.top_p = options_.top_p;
    query.stop = options_.stop;
    if (options_.seed) query.seed = *options_.seed + static_cast<uint64_t>(attempt);
    return query;
  }

  const UrlAuthorOptions options_;
  net::ChatClient client_;
};

}  // namespace

Result<std::unique_ptr<Author>> make_url_author(const UrlAuthorOptions& options) {
  LS_ASSIGN_OR_RETURN(net::Url url, net::parse_url(options.url, "--url"));
  url.path = net::chat_path(url.path);
  return std::unique_ptr<Author>(std::make_unique<UrlAuthor>(options, url));
}

}  // namespace longshot::curate
