#include "server/http.h"

#include <fmt/core.h>
#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "server/connection_threads.h"
#include "server/errors.h"

namespace longshot::server {
namespace {

constexpr size_t kMaxBody = 64 << 20;
constexpr int kBacklog = 1024;  // the library's 5 would make a burst of clients wait a second
constexpr int kGoneStatus = 499;

class Listener : public httplib::Server {
 public:
  void widen_backlog() { ::listen(svr_sock_, kBacklog); }
};

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
  call.connection = Connection::find(request.remote_addr, request.remote_port);
  return call;
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const HttpOptions& options, std::vector<Route> routes, ServerMetrics& metrics)
      : options_(options), routes_(std::move(routes)), metrics_(metrics) {
    server_.new_task_queue = [n = options.connections] { return new ConnectionThreads(n); };
    server_.set_tcp_nodelay(true);
    server_.set_socket_options(
        [](socket_t socket) {  // not the library's SO_REUSEPORT: a port is one server's
          const int on = 1;
          setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        });
    server_.set_payload_max_length(kMaxBody);
    server_.set_keep_alive_max_count(1 << 20);
    server_.set_write_timeout(30);  // a client that does not read for so long is gone
    const auto handler = [this](const httplib::Request& request, httplib::Response& response) {
      serve(request, response);
    };
    server_.Get(".*", handler);
    server_.Post(".*", handler);
    server_.set_error_handler([this](const httplib::Request& request, httplib::Response& response) {
      if (!response.body.empty()) return;  // one of ours
      metrics_.count_request("other", response.status);
      response.set_content(error_json({response.status, status_message(response.status),
                                       "invalid_request_error", "", ""}),
                           "application/json");
    });
  }

  ~Impl() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
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
    Account(Impl& owner, std::string route) : impl(owner), route(std::move(route)) {
      ++impl.in_flight_;
    }
    ~Account() {
      impl.metrics_.count_request(route, status);
      const bool probe = route == "/health" || route == "/metrics";  // every few seconds, for ever
      if (impl.options_.access_log && !probe)
        log::info("{} {} {:.3f}s{}{}", route, status, watch.seconds(), note.empty() ? "" : " ",
                  note);
      --impl.in_flight_;
    }
    Impl& impl;
    std::string route, note;
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

  Reply route(const httplib::Request& request, Account& account) {
    bool other_method = false;
    const std::string method = request.method == "HEAD" ? "GET" : request.method;
    const Route* found = find(method, request.path, other_method);
    if (found == nullptr) {
      return error_reply({other_method ? 405 : 404,
                          fmt::format("{} {}: {}", request.method, request.path,
                                      other_method ? "wrong method" : "no such route"),
                          "invalid_request_error", "", ""});
    }
    account.route = found->path;
    if (!authorized(request, *found)) {
      return error_reply({401, "a valid API key is needed: Authorization: Bearer KEY",
                          "authentication_error", "", "invalid_api_key"});
    }
    if (refusing_) {
      return error_reply({503, "the server is shutting down", "server_error", "", "unavailable"});
    }
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
    const auto account = std::make_shared<Account>(*this, "other");
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
