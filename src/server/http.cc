#include "server/http.h"

#include <fmt/core.h>
#include <httplib.h>
#include <netdb.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "server/connection_threads.h"
#include "server/errors.h"
#include "server/reception.h"
#include "server/request_stream.h"

namespace longshot::server {
namespace {

constexpr size_t kMaxBody = 64 << 20;
constexpr int kBacklog = 1024;  // the library's 5 would make a burst of clients wait a second
constexpr int kGoneStatus = 499;
constexpr int kProbes = 8;  // threads for requests without a body, such as /health

// The connection whose request this thread answers.
struct Current {
  int socket = -1;
  bool close = false;  // after the answer: the rest of the request was not read
};
thread_local Current current;

// Accepts on the library's thread and answers requests with its parser. Connections wait in the
// reception, and have a thread from a request's head to the end of its answer only. Requests
// without a body have threads of their own: bodies that arrive slowly cannot hold those.
class Listener : public httplib::Server {
 public:
  explicit Listener(int connections)
      : workers_(static_cast<size_t>(connections)),
        probes_(kProbes),
        reception_({.max_connections = waiting_room(connections)},
                   [this](int socket, std::string head) {
                     auto& threads = has_body(head) ? workers_ : probes_;
                     threads.enqueue(
                         [this, socket, bytes = std::move(head)] { answer(socket, bytes); });
                   }) {
    new_task_queue = [] { return new AtOnce; };
  }
  // After stop(): answers what was begun.
  void finish() {
    stopping_ = true;
    reception_.stop();
    probes_.shutdown();
    workers_.shutdown();
  }
  void widen_backlog() { ::listen(svr_sock_, kBacklog); }

 private:
  struct AtOnce : httplib::TaskQueue {
    void enqueue(std::function<void()> task) override { task(); }
    void shutdown() override {}
  };

  // How many connections may wait, as the limit of open files allows; it is raised if it can be.
  static size_t waiting_room(int connections) {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 65536);
    setrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NOFILE, &files);
    const auto spare = static_cast<int64_t>(files.rlim_cur) - 2 * connections - 64;
    return static_cast<size_t>(std::clamp<int64_t>(spare, 16, 4096));
  }

  static bool has_body(std::string_view head) {
    return !head.starts_with("GET ") && !head.starts_with("HEAD ");
  }

  bool process_and_close_socket(socket_t socket) override {
    reception_.add(socket);
    return true;
  }

  void answer(int socket, const std::string& bytes) {
    RequestStream stream(socket, bytes);
    current = {socket, false};
    bool closed = false;
    const bool answered = process_request(stream, stopping_, closed, nullptr);
    const bool keep = answered && !closed && !current.close && !stopping_;
    current = {};
    if (keep) {
      reception_.add(socket, stream.rest());
    } else {
      reception_.close_later(socket);
    }
  }

  std::atomic<bool> stopping_{false};
  ConnectionThreads workers_, probes_;
  Reception reception_;
};

// A path for the log: no control characters, not endless.
std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text.substr(0, 200)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte >= 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return text.size() > 200 ? out + "..." : out;
}

// Takes the same time wherever the first difference is.
bool equal_secrets(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

std::string status_message(int status) {
  if (status == 413) return fmt::format("the request's body is larger than {} bytes", kMaxBody);
  if (status == 404) return "no such route";
  return fmt::format("the request could not be read (HTTP {})", status);
}

// Why a socket could not be bound, and what to do. 0: the name has no address.
std::string listen_advice(int error) {
  if (error == 0) return "--host is not a name or address of this machine";
  const char* advice = "";
  if (error == EADDRINUSE) advice = "; --port 0 takes a free one";
  if (error == EACCES) advice = "; ports below 1024 need privileges, choose a higher --port";
  if (error == EADDRNOTAVAIL) advice = "; --host is not an address of this machine";
  return std::strerror(error) + std::string(advice);
}

Call make_call(const httplib::Request& request) {
  Call call{request.method, request.path, request.body, {}, {}};
  for (const auto& [name, value] : request.params) call.query[name] = value;
  call.connection = Connection(current.socket);
  return call;
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const HttpOptions& options, std::vector<Route> routes, ServerMetrics& metrics)
      : options_(options),
        routes_(std::move(routes)),
        metrics_(metrics),
        server_(options.connections) {
    server_.set_tcp_nodelay(true);
    server_.set_socket_options(
        [](socket_t socket) {  // not the library's SO_REUSEPORT: a port is one server's
          const int on = 1;
          setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        });
    server_.set_payload_max_length(kMaxBody);
    // Both are asked when the head is there and the body has not been read.
    server_.set_expect_100_continue_handler([this](const httplib::Request& request,
                                                   httplib::Response& response) {
      const auto refused = refuse(request);
      if (!refused) return 100;
      current.close = true;
      serve(request, response);
      return refused->status;
    });
    server_.set_pre_routing_handler([this](const httplib::Request& request,
                                           httplib::Response& response) {
      const bool refused = refuse(request).has_value();
      const bool body =
          request.has_header("Content-Length") || request.has_header("Transfer-Encoding");
      current.close = body && (refused || request.method != "POST");  // it will not be read
      if (!refused) return httplib::Server::HandlerResponse::Unhandled;
      if (current.close) response.set_header("Connection", "close");
      serve(request, response);
      return httplib::Server::HandlerResponse::Handled;
    });
    const auto handler = [this](const httplib::Request& request, httplib::Response& response) {
      serve(request, response);
    };
    server_.Get(".*", handler);
    server_.Post(".*", handler);
    server_.set_error_handler([this](const httplib::Request& request, httplib::Response& response) {
      if (!response.body.empty()) return;  // one of ours
      metrics_.count_request("other", response.status);
      current.close = true;  // what follows in the connection may be the rest of what was wrong
      if (options_.access_log)
        log::info("{} {} {} {}", printable(request.method), printable(request.path),
                  response.status, request.remote_addr);
      response.set_content(error_json({response.status, status_message(response.status),
                                       "invalid_request_error", "", ""}),
                           "application/json");
    });
  }

  ~Impl() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
    server_.finish();
  }

  Status start() {
    port_ = options_.port;
    errno = 0;
    if (options_.port == 0) {
      port_ = server_.bind_to_any_port(options_.host);
    } else if (!server_.bind_to_port(options_.host, options_.port)) {
      port_ = -1;
    }
    if (port_ < 0) {
      return invalid_argument(fmt::format("cannot listen on {}:{}: {}", options_.host,
                                          options_.port, listen_advice(errno)));
    }
    server_.widen_backlog();
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
    return ok_status();
  }

  int port() const { return port_; }
  void refuse_new() { refusing_ = true; }
  int in_flight() const { return in_flight_; }

 private:
  // From the request to the last byte of its answer.
  struct Account {
    Account(Impl& owner, const httplib::Request& request)
        : impl(owner),
          what(printable(request.method) + " " + printable(request.path)),
          client(request.remote_addr) {
      ++impl.in_flight_;
    }
    ~Account() {
      impl.metrics_.count_request(route, status);
      const bool probe = route == "/health" || route == "/metrics";  // every few seconds, for ever
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

  const Route* find(const httplib::Request& request, bool& other_method) const {
    return find(request.method == "HEAD" ? "GET" : request.method, request.path, other_method);
  }

  // What the head alone is refused for.
  std::optional<ApiError> refuse(const httplib::Request& request) const {
    bool other_method = false;
    const Route* found = find(request, other_method);
    if (found == nullptr) {
      return ApiError{other_method ? 405 : 404,
                      fmt::format("{} {}: {}", printable(request.method), printable(request.path),
                                  other_method ? "wrong method" : "no such route"),
                      "invalid_request_error", "", ""};
    }
    if (!authorized(request, *found)) {
      return ApiError{401, "a valid API key is needed: Authorization: Bearer KEY",
                      "authentication_error", "", "invalid_api_key"};
    }
    if (refusing_)
      return ApiError{503, "the server is shutting down", "server_error", "", "unavailable"};
    return found->method == "POST" ? refuse_body(request) : std::nullopt;
  }

  // A browser sends what any page asks it to, but names the page or, in plain forms, a type that is
  // not JSON. Who knows the API key is no such page.
  std::optional<ApiError> refuse_body(const httplib::Request& request) const {
    const std::string type = request.get_header_value("Content-Type");
    const std::string site = request.get_header_value("Sec-Fetch-Site");
    const bool page = request.has_header("Origin") || site == "cross-site" || site == "same-site";
    if (page && options_.api_key.empty()) {
      return ApiError{403, "requests from web pages are refused where no --api-key is set",
                      "permission_error", "", "origin_not_allowed"};
    }
    if (type.starts_with("text/") || type.starts_with("multipart/"))
      return ApiError{415, "the body must be JSON: Content-Type: application/json",
                      "invalid_request_error", "", "unsupported_media_type"};
    if (request.has_header("Content-Encoding"))
      return ApiError{415, "compressed bodies are not supported", "invalid_request_error", "",
                      "unsupported_media_type"};
    if (request.get_header_value<uint64_t>("Content-Length") > kMaxBody)
      return ApiError{413, status_message(413), "invalid_request_error", "", ""};
    return std::nullopt;
  }

  Reply route(const httplib::Request& request, Account& account) {
    bool other_method = false;
    const Route* found = find(request, other_method);
    if (found != nullptr) account.route = found->path;
    if (const auto refused = refuse(request)) return error_reply(*refused);
    try {
      return found->handler(make_call(request));
    } catch (const std::exception& error) {  // out of memory
      return error_reply({500, error.what(), "server_error", "", "internal_error"});
    }
  }

  bool authorized(const httplib::Request& request, const Route& route) const {
    return options_.api_key.empty() || route.path == "/health" ||
           equal_secrets(request.get_header_value("Authorization"), "Bearer " + options_.api_key);
  }

  void serve(const httplib::Request& request, httplib::Response& response) {
    const auto account = std::make_shared<Account>(*this, request);
    Reply reply = route(request, *account);
    account->status = reply.status;
    account->note = reply.note;
    response.status = reply.status;
    if (!reply.stream) return response.set_content(reply.body, reply.content_type);
    account->status = kGoneStatus;  // until the last piece is written
    response.set_header("Cache-Control", "no-cache");
    response.set_chunked_content_provider(
        reply.content_type,
        [account, stream = std::move(reply.stream)](size_t, httplib::DataSink& sink) {
          std::string piece;
          const bool more = stream(piece);
          if (!piece.empty() && !sink.write(piece.data(), piece.size())) return false;
          if (!more && piece.empty()) return false;  // the client is gone
          if (!more) {
            account->status = 200;
            sink.done();
          }
          return true;
        });
  }

  const HttpOptions options_;
  const std::vector<Route> routes_;
  ServerMetrics& metrics_;
  Listener server_;
  int port_ = -1;
  std::atomic<bool> refusing_{false};
  std::atomic<int> in_flight_{0};
  std::thread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::start(const HttpOptions& options,
                                                      std::vector<Route> routes,
                                                      ServerMetrics& metrics) {
  auto impl = std::make_unique<Impl>(options, std::move(routes), metrics);
  LS_RETURN_IF_ERROR(impl->start());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const {
  return impl_->port();
}
void HttpServer::refuse_new() {
  impl_->refuse_new();
}
int HttpServer::in_flight() const {
  return impl_->in_flight();
}

}  // namespace longshot::server
