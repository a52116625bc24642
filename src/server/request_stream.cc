#include "server/request_stream.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace longshot::server {
namespace {

constexpr double kBodySeconds = 20;
constexpr double kBytesPerSecond = 256 << 10;
constexpr double kWriteSeconds = 30;
constexpr size_t kMostBytes = 65 << 20;

// False if the socket is not ready within the time.
bool wait_for(int socket, short what, double seconds) {
  pollfd entry{socket, what, 0};
  const Deadline deadline = Deadline::after_seconds(seconds);
  while (true) {
    const int left = static_cast<int>(1000 * std::max(0.0, deadline.seconds_left()));
    const int ready = poll(&entry, 1, left);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

void numeric_address(const sockaddr_storage& address, socklen_t size, std::string& ip, int& port) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host.data(), host.size(),
                  service.data(), service.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return;
  ip = host.data();
  port = std::atoi(service.data());
}

}  // namespace

bool RequestStream::is_readable() const {
  return taken_ < bytes_.size() || wait_for(socket_, POLLIN, kBodySeconds);
}

bool RequestStream::is_writable() const {
  return wait_for(socket_, POLLOUT, kWriteSeconds);
}

bool RequestStream::fill() {
  std::array<char, 16384> buffer;
  while (true) {
    const double left =
        kBodySeconds + static_cast<double>(received_) / kBytesPerSecond - since_.seconds();
    if (left <= 0 || received_ > kMostBytes || !wait_for(socket_, POLLIN, left)) return false;
    const ssize_t got = recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) continue;
    if (got <= 0) return false;
    received_ += static_cast<size_t>(got);
    bytes_.assign(buffer.data(), static_cast<size_t>(got));
    taken_ = 0;
    return true;
  }
}

ssize_t RequestStream::read(char* to, size_t size) {
  if (taken_ == bytes_.size() && !fill()) return -1;
  const size_t count = std::min(size, bytes_.size() - taken_);
  std::memcpy(to, bytes_.data() + taken_, count);
  taken_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t RequestStream::write(const char* from, size_t size) {
  size_t sent = 0;
  while (sent < size) {
    const ssize_t got = send(socket_, from + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (got >= 0) {
      sent += static_cast<size_t>(got);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for(socket_, POLLOUT, kWriteSeconds)) return -1;
    } else if (errno != EINTR) {
      return -1;
    }
  }
  return static_cast<ssize_t>(size);
}

void RequestStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    numeric_address(address, size, ip, port);
}

void RequestStream::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    numeric_address(address, size, ip, port);
}

}  // namespace longshot::server
