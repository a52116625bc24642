#include "net/http_server.h"

#include <fmt/core.h>
#include <httplib.h>
#include <chrono>
#include <thread>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <optional>

#include "base/log.h"
#include "base/os/clock.h"
#include "base/text/text.h"
#include "net/errors.h"
#include "net/listener.h"

namespace longshot::net {
namespace {

constexpr size_t kMaxBody = 64 << 20;
constexpr int kGoneStatus = 499;

// Makes a path safe for the log: without control characters, cut to 200 bytes.
std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text.substr(0, 200)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte >= 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return text.size() > 200 ? out + "..." : out;
}

std::string status_message(int status) {
  if (status == 413) return fmt::format("the request's body is larger than {} bytes", kMaxBody);
  if (status == 404) return "no such route";
  return fmt::format("the request could not be read (HTTP {})", status);
}

// Explains why a socket could not be bound, and what to do. 0: the name has no address.
std::string listen_advice(int error) {
  if (error == 0) return "--host is not a name or address of this machine";
  const char* advice = "";
  if (error == EADDRINUSE) advice = "; --port 0 takes a free one";
  if (error == EACCES) advice = "; ports below 1024 need privileges, choose a higher --port";
  if (error == EADDRNOTAVAIL) advice = "; --host is not an address of this machine";
  return std::strerror(error) + std::string(advice);
}

Call make_call(const ReceivedRequest& received, const httplib::Request& parsed) {
  Call call{received.head.method,
            received.head.path,
            std::string(received.body.view()),
            {},
            received.head.header("range").value_or(""),
            Connection(received.socket)};
  for (const auto& [name, value] : parsed.params) call.query[name] = value;
  return call;
}

bool is_health(const std::string& route) {
  return route == "/health" || route == "/v1/healthz";
}

bool begins_with(const std::string& text, const std::string& word) {  // in either case
  return strncasecmp(text.c_str(), word.c_str(), word.size()) == 0;
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const HttpOptions& options, std::vector<Route> routes, RequestMetrics& requests)
      : options_(options),
        routes_(std::move(routes)),
        requests_(requests),
        listener_(options.connections,
                  {.refuses = [this](const RequestHead& head) { return refuse(head).has_value(); },
                   .is_large = [this](const RequestHead& head) { return is_large(head); },
                   .answer = [this](const auto& received, const auto& parsed,
                                    auto& response) { serve(received, parsed, response); },
                   .failed = [this](const httplib::Request* request,
                                    int status) { return failed(request, status); }},
                  options.tls) {}

  Status start() {
    errno = 0;
    port_ = listener_.start(options_.host, options_.port);
    if (port_ >= 0) return ok_status();
    return invalid_argument(fmt::format("cannot listen on {}:{}: {}", options_.host, options_.port,
                                        listen_advice(errno)));
  }

  int port() const { return port_; }
  void refuse_new() { refusing_ = true; }
  int in_flight() const { return in_flight_; }

 private:
  // Accounts for a request, from its arrival to the last byte of its answer.
  struct Account {
    Account(Impl& owner, const RequestHead& head, std::string address)
        : impl(owner),
          what(printable(head.method) + " " + printable(head.path)),
          client(std::move(address)) {
      ++impl.in_flight_;
    }
    ~Account() {
      impl.requests_.count(route, status);
      // These are requested every few seconds.
      const bool probe = is_health(route) || route == "/metrics";
      if (impl.options_.access_log && !probe)
        log::info("{} {} {:.3f}s {}{}{}", what, status, watch.seconds(), client,
                  note.empty() ? "" : " ", note);
      --impl.in_flight_;
    }
    Impl& impl;
    const std::string what, client;
    std::string route = "other", note;
    Stopwatch watch;
    int status = 200;
  };

  const Route* find(const std::string& method, const std::string& path, bool& other_method) const {
    for (const Route& route : routes_) {
      const bool below = route.path.ends_with("/") && path.size() > route.path.size() &&
                         path.starts_with(route.path);
      if (route.path != path && !below) continue;
      if (route.method == method) return &route;
      other_method = true;
    }
    return nullptr;
  }

  const Route* find(const RequestHead& head, bool& other_method) const {
    return find(head.method == "HEAD" ? "GET" : head.method, head.path, other_method);
  }

  bool is_large(const RequestHead& head) const {
    bool other_method = false;
    const Route* found = find(head, other_method);
    return found != nullptr && found->large;
  }

  // Returns an error if the head alone is a reason to refuse the request.
  std::optional<ApiError> refuse(const RequestHead& head) const {
    bool other_method = false;
    const Route* found = find(head, other_method);
    if (found == nullptr) {
      return ApiError{other_method ? 405 : 404,
                      fmt::format("{} {}: {}", printable(head.method), printable(head.path),
                                  other_method ? "wrong method" : "no such route"),
                      "invalid_request_error", "", ""};
    }
    if (!authorized(head, *found)) {
      return ApiError{401, "a valid API key is needed: Authorization: Bearer KEY",
                      "authentication_error", "", "invalid_api_key"};
    }
    if (refusing_)
      return ApiError{503, "the server is shutting down", "server_error", "", "unavailable"};
    return found->method == "POST" ? refuse_body(head) : std::nullopt;
  }

  // Any web page can make a browser send a request. The browser then names the page or, for a plain
  // form, a content type other than JSON. A web page does not know the API key, so a server with a
  // key accepts requests that name a page.
  std::optional<ApiError> refuse_body(const RequestHead& head) const {
    const std::string type = head.header("content-type").value_or("");
    const std::string site = head.header("sec-fetch-site").value_or("");
    const bool page = head.header("origin") || site == "cross-site" || site == "same-site";
    if (page && options_.api_key.empty()) {
      return ApiError{403, "requests from web pages are refused where no --api-key is set",
                      "permission_error", "", "origin_not_allowed"};
    }
    if (begins_with(type, "text/") || begins_with(type, "multipart/"))
      return ApiError{415, "the body must be JSON: Content-Type: application/json",
                      "invalid_request_error", "", "unsupported_media_type"};
    if (head.header("content-encoding"))
      return ApiError{415, "compressed bodies are not supported", "invalid_request_error", "",
                      "unsupported_media_type"};
    if (head.length > kMaxBody)
      return ApiError{413, status_message(413), "invalid_request_error", "", ""};
    return std::nullopt;
  }

  Reply route(const ReceivedRequest& received, const httplib::Request& parsed, Account& account) {
    bool other_method = false;
    const Route* found = find(received.head, other_method);
    if (found != nullptr) account.route = found->path;
    if (const auto refused = refuse(received.head)) return error_reply(*refused);
    try {
      return found->handler(make_call(received, parsed));
    } catch (const std::exception& error) {  // out of memory
      return error_reply({500, error.what(), "server_error", "", "internal_error"});
    }
  }

  bool authorized(const RequestHead& head, const Route& route) const {
    return options_.api_key.empty() || is_health(route.path) ||
           equal_secrets(head.header("authorization").value_or(""), "Bearer " + options_.api_key);
  }

  // Counts and logs a request that the HTTP library or the reception refuses. Returns the body of
  // the answer.
  std::string failed(const httplib::Request* request, int status) {
    requests_.count("other", status);
    if (request != nullptr && options_.access_log)
      log::info("{} {} {} {}", printable(request->method), printable(request->path), status,
                request->remote_addr);
    return error_json({status, status_message(status), "invalid_request_error", "", ""});
  }

  void serve(const ReceivedRequest& received, const httplib::Request& parsed,
             httplib::Response& response) {
    const auto account = std::make_shared<Account>(*this, received.head, parsed.remote_addr);
    Reply reply = route(received, parsed, *account);
    account->status = reply.status;
    account->note = reply.note;
    response.status = reply.status;
    for (const auto& [name, value] : reply.headers) response.set_header(name, value);
    if (reply.lent.owner && !reply.lent.bytes.empty())
      return lend(reply, parsed.method == "HEAD", account, response);
    if (!reply.stream) return response.set_content(reply.body, reply.content_type);
    account->status = kGoneStatus;  // until the last piece is written
    response.set_header("Cache-Control", "no-cache");
    const auto piece_by_piece = [account, stream = std::move(reply.stream)](
                                    size_t, httplib::DataSink& sink) {
      std::string piece;
      const bool more = stream(piece);
      if (!piece.empty() && !sink.write(piece.data(), piece.size())) return false;
      if (!more && piece.empty()) return false;  // the client has disconnected
      if (!more) {
        account->status = 200;
        sink.done();
      }
      return true;
    };
    // HTTP/1.0 has no chunks: the end of the connection ends the stream.
    if (parsed.version == "HTTP/1.0")
      return response.set_content_provider(reply.content_type, piece_by_piece);
    response.set_chunked_content_provider(reply.content_type, piece_by_piece);
  }

  // Sends the bytes in pieces, because the time that a client has grows with each of them.
  static void lend(const Reply& reply, bool head_only, const std::shared_ptr<Account>& account,
                   httplib::Response& response) {
    constexpr size_t kPiece = 1 << 20;
    if (!head_only) account->status = kGoneStatus;  // until the last piece is written
    const auto piece = [account, lent = reply.lent, status = reply.status](
                           size_t offset, size_t, httplib::DataSink& sink) {
      const std::string_view bytes = lent.bytes.substr(offset, kPiece);
      if (!sink.write(bytes.data(), bytes.size())) return false;
      if (offset + bytes.size() == lent.bytes.size()) account->status = status;
      return true;
    };
    response.set_content_provider(reply.lent.bytes.size(), reply.content_type, piece);
  }

  const HttpOptions options_;
  const std::vector<Route> routes_;
  RequestMetrics& requests_;
  int port_ = -1;
  std::atomic<bool> refusing_{false};
  std::atomic<int> in_flight_{0};
  Listener listener_;  // last: its threads use the members above
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::start(const HttpOptions& options,
                                                      std::vector<Route> routes,
                                                      RequestMetrics& requests) {
  auto impl = std::make_unique<Impl>(options, std::move(routes), requests);
  LS_RETURN_IF_ERROR(impl->start());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const {
  return impl_->port();
}
void HttpServer::refuse_new() {
  impl_->refuse_new();
}
bool HttpServer::drain(double seconds) {
  const Deadline end = Deadline::after_seconds(seconds);
  while (in_flight() > 0 && !end.expired())
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return in_flight() == 0;
}
int HttpServer::in_flight() const {
  return impl_->in_flight();
}

}  // namespace longshot::net
