#include "net/bulk/socket_io.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "base/os/stop.h"

namespace longshot::net {
namespace {

constexpr int kStopMilliseconds = 50;  // how often a waiting call looks for a stop

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

struct Resolution {
  int error = 0;
  Addresses list;
};

Resolution resolve_now(const std::string& host, const std::string& port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  return {error, Addresses(error == 0 ? list : nullptr)};
}

// A name server may take longer than the deadline, and the system's call cannot be interrupted: it
// ends on a thread of its own.
Result<Addresses> resolve(const std::string& host, const std::string& port, Deadline deadline) {
  Resolution numeric = resolve_now(host, port, AI_NUMERICHOST);
  if (numeric.error == 0) return std::move(numeric.list);
  auto promise = std::make_shared<std::promise<Resolution>>();
  std::future<Resolution> answer = promise->get_future();
  std::thread([promise, host, port] { promise->set_value(resolve_now(host, port, 0)); }).detach();
  const std::chrono::duration<double> left(std::min(deadline.seconds_left(), 3600.0));
  if (answer.wait_for(left) != std::future_status::ready)
    return timeout_error("the host's address was not found in time");
  Resolution resolution = answer.get();
  if (resolution.error != 0)
    return unavailable(std::string("the host has no address: ") + gai_strerror(resolution.error));
  return std::move(resolution.list);
}

// Waits until the socket is ready for `events`.
Status wait_for(int fd, short events, Deadline deadline) {
  while (true) {
    if (stop_requested()) return cancelled("stopped");
    const int left = deadline.milliseconds_left();
    if (left == 0) return timeout_error("no answer in time");
    pollfd entry{fd, events, 0};
    const int wait = left < 0 ? kStopMilliseconds : std::min(left, kStopMilliseconds);
    if (poll(&entry, 1, wait) > 0) return ok_status();
  }
}

Status broken(int error) {
  return unavailable(std::strerror(error));
}

Status connect_to(int fd, const addrinfo& address, Deadline deadline) {
  if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) return ok_status();
  if (errno != EINPROGRESS) return broken(errno);
  LS_RETURN_IF_ERROR(wait_for(fd, POLLOUT, deadline));
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? ok_status() : broken(error);
}

}  // namespace

Result<ClientSocket> ClientSocket::connect(const std::string& host, const std::string& port,
                                           Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const Addresses addresses, resolve(host, port, deadline));
  Status failure = unavailable("the host has no address");
  for (const addrinfo* a = addresses.get(); a != nullptr; a = a->ai_next) {
    ClientSocket made(socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (made.fd_ < 0) return broken(errno);
    failure = connect_to(made.fd_, *a, deadline);
    if (!failure.ok()) continue;
    const int on = 1;
    setsockopt(made.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return made;
  }
  return failure;
}

ClientSocket::ClientSocket(ClientSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

ClientSocket& ClientSocket::operator=(ClientSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

ClientSocket::~ClientSocket() {
  if (fd_ >= 0) close(fd_);
}

Status ClientSocket::write(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      LS_RETURN_IF_ERROR(wait_for(fd_, POLLOUT, deadline));
    } else if (errno != EINTR) {
      return broken(errno);
    }
  }
  return ok_status();
}

Result<size_t> ClientSocket::read(std::span<char> out, Deadline deadline) {
  while (true) {
    const ssize_t got = recv(fd_, out.data(), out.size(), 0);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) return broken(errno);
    LS_RETURN_IF_ERROR(wait_for(fd_, POLLIN, deadline));
  }
}

}  // namespace longshot::net
