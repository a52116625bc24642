#include "net/bulk/socket_io.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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
  const int error = getaddrinfo(host.c_str(), port.empty() ? nullptr : port.c_str(), &hints, &list);
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

// Waits until the socket is ready for `events`, as long as it is `wanted`.
Status wait_for(int fd, short events, Deadline deadline,
                const std::function<bool()>& wanted = nullptr) {
  while (true) {
    if (stop_requested()) return cancelled("stopped");
    if (wanted && !wanted()) return unavailable("the answer is not wanted any more");
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
                                           Deadline deadline,
                                           const std::shared_ptr<const IdentityFolder>& tls) {
  LS_ASSIGN_OR_RETURN(const Addresses addresses, resolve(host, port, deadline));
  Status failure = unavailable("the host has no address");
  for (const addrinfo* a = addresses.get(); a != nullptr; a = a->ai_next) {
    ClientSocket made(socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (made.fd_ < 0) return broken(errno);
    failure = connect_to(made.fd_, *a, deadline);
    if (!failure.ok()) continue;
    const int on = 1;
    setsockopt(made.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (tls != nullptr) LS_RETURN_IF_ERROR(made.start_tls(tls, host, deadline));
    return made;
  }
  return failure;
}

Status ClientSocket::start_tls(const std::shared_ptr<const IdentityFolder>& tls,
                               const std::string& host, Deadline deadline) {
  session_ = TlsSession::client(tls->current(), fd_, host);
  while (session_->connect() != 1) LS_RETURN_IF_ERROR(recover(0, deadline));
  return ok_status();
}

ClientSocket::ClientSocket(ClientSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      session_(std::move(other.session_)),
      wanted_(std::move(other.wanted_)) {}

ClientSocket& ClientSocket::operator=(ClientSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(session_, other.session_);
  std::swap(wanted_, other.wanted_);
  return *this;
}

ClientSocket::~ClientSocket() {
  if (session_) session_->end();
  if (fd_ >= 0) close(fd_);
}

Status ClientSocket::recover(short events, Deadline deadline) {
  if (errno == EINTR) return ok_status();
  if (errno == EPROTO && session_) return session_->failure();
  if (errno != EAGAIN && errno != EWOULDBLOCK) return broken(errno);
  return wait_for(fd_, session_ ? session_->wanted() : events, deadline, wanted_);
}

Status ClientSocket::write(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = session_ ? session_->send(bytes.data(), bytes.size())
                                  : send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      LS_RETURN_IF_ERROR(recover(POLLOUT, deadline));
    } else {
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  return ok_status();
}

// TLS gives at most 16 KiB at a time, so it is asked until there is nothing more.
ssize_t ClientSocket::receive(std::span<char> out) {
  if (!session_) return recv(fd_, out.data(), out.size(), 0);
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = session_->receive(out.data() + done, out.size() - done);
    if (got <= 0 && done == 0) return got;
    if (got <= 0) break;  // the next call reports it again
    done += static_cast<size_t>(got);
  }
  return static_cast<ssize_t>(done);
}

Result<size_t> ClientSocket::read(std::span<char> out, Deadline deadline) {
  while (true) {
    const ssize_t got = receive(out);
    if (got >= 0) return static_cast<size_t>(got);
    LS_RETURN_IF_ERROR(recover(POLLIN, deadline));
  }
}

Result<std::vector<std::string>> addresses_of(const std::string& host, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const Addresses addresses, resolve(host, "", deadline));
  std::vector<std::string> out;
  for (const addrinfo* a = addresses.get(); a != nullptr; a = a->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(a->ai_addr, a->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0)
      out.emplace_back(text.data());
  }
  if (out.empty()) return unavailable("the host has no address");
  return out;
}

}  // namespace longshot::net
