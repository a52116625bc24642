#include "net/listener.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "base/os/machine.h"
#include "net/request_stream.h"

namespace longshot::net {
namespace {

constexpr int kBacklog = 1024;  // with the library's 5, clients of a burst would wait a second
constexpr double kPatience = 30;
// Announced to clients; shorter than the reception's idle time.
constexpr time_t kKeepAliveSeconds = 60;

// The request that this thread answers.
struct Current {
  const ReceivedRequest* request = nullptr;
  bool failed = false;  // the library could not parse it
};
thread_local Current current;

// Raises the limit of open files as far as possible and returns it.
int64_t open_files() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 65536);
  setrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_NOFILE, &files);
  return static_cast<int64_t>(std::min<rlim_t>(files.rlim_cur, 65536));
}

size_t waiting_connections() {
  return static_cast<size_t>(std::clamp<int64_t>(open_files() / 4, 16, 4096));
}

size_t waiting_requests() {
  return static_cast<size_t>(std::clamp<int64_t>(open_files() / 8, 16, 512));
}

// An eighth of the memory of the machine or of its control group, at least 512 MiB.
size_t memory_for_bodies() {
  const Machine machine = inspect_machine();
  const uint64_t memory = machine.memory_limit.value_or(machine.memory_total);
  return std::max<uint64_t>(std::min(memory, machine.memory_total) / 8, 512 << 20);
}

ReceptionOptions reception_options() {
  return {.max_answered = memory_for_bodies(), .max_connections = waiting_connections()};
}

}  // namespace

Listener::Listener(int threads, Handlers handlers, std::shared_ptr<const IdentityFolder> tls)
    : transport_(make_transport(std::move(tls))),
      handlers_(std::move(handlers)),
      workers_(static_cast<size_t>(threads), waiting_requests()),
      bodies_(reception_options(), callbacks(), *transport_),
      reception_(reception_options(), callbacks(), *transport_, &bodies_) {
  library_.set_tcp_nodelay(true);
  library_.set_keep_alive_timeout(kKeepAliveSeconds);
  library_.set_keep_alive_max_count(std::numeric_limits<int>::max());
  library_.set_socket_options(
      // Unlike the library, without SO_REUSEPORT: a port belongs to one server.
      [](socket_t socket) {
        const int on = 1;
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
      });
  library_.set_pre_routing_handler(
      [this](const httplib::Request& request, httplib::Response& response) {
        handlers_.answer(*current.request, request, response);
        return httplib::Server::HandlerResponse::Handled;
      });
  library_.set_error_handler([this](const httplib::Request& request, httplib::Response& response) {
    if (!response.body.empty()) return;  // the handler's own error
    current.failed = true;
    response.set_content(handlers_.failed(&request, response.status), "application/json");
  });
}

Listener::~Listener() {
  stopping_ = true;
  library_.end_streams();
  reception_.stop();
  bodies_.stop();
  workers_.shutdown();
}

int Listener::start(const std::string& host, int port) {
  const bool any = port == 0;
  const int bound = any ? library_.bind_to_any_port(host) : port;
  if (any ? bound < 0 : !library_.bind_to_port(host, port)) return -1;
  const int socket = library_.listening_socket();
  ::listen(socket, kBacklog);
  bodies_.start();
  reception_.start(socket);
  return bound;
}

Reception::Callbacks Listener::callbacks() {
  return {.wants_body =
              [this](const RequestHead& head) {
                return head.method == "POST" && !handlers_.refuses(head);
              },
          .ready = [this](ReceivedRequest& request) { return take(request); },
          .refused = [this](int status) { handlers_.failed(nullptr, status); }};
}

// Requests without a body are answered at once on this thread unless their answer may be large. The
// others are small and never wait for a client, so no client can keep /health from others.
bool Listener::take(ReceivedRequest& request) {
  const bool waits = request.head.method == "POST" || handlers_.is_large(request.head);
  if (!waits || !request.body_read) {
    answer(request, 0);
    return true;
  }
  const auto shared = std::make_shared<ReceivedRequest>(std::move(request));
  const bool taken = workers_.enqueue([this, shared] { answer(*shared, kPatience); });
  if (!taken) request = std::move(*shared);
  return taken;
}

void Listener::answer(const ReceivedRequest& request, double patience) {
  RequestStream stream(*transport_, request.socket, request.head.text, patience);
  current = {&request, false};
  bool closed = false;
  const bool close = stopping_ || !request.body_read;
  const bool answered = library_.process_request(stream, close, closed, nullptr);
  const bool keep = answered && !close && !closed && !current.failed;
  current = {};
  reception_.forget_body(request.body.size());
  if (keep) {
    reception_.add(request.socket, request.rest);
  } else {
    reception_.close_later(request.socket);
  }
}

}  // namespace longshot::net
