#include "net/request_stream.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace longshot::net {
namespace {

constexpr double kBytesPerSecond = 16 << 10;
constexpr double kLongestWait = 60;  // seconds without room for a single byte

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

ssize_t RequestStream::read(char* to, size_t size) {
  const size_t count = std::min(size, head_.size() - taken_);
  std::memcpy(to, head_.data() + taken_, count);
  taken_ += count;
  return count > 0 ? static_cast<ssize_t>(count) : -1;
}

// Waits until the client accepts more bytes; false if its time runs out.
bool RequestStream::wait_for_room() {
  const double left =
      patience_ > 0 ? patience_ + static_cast<double>(offered_) / kBytesPerSecond - waited_ : 0;
  if (left <= 0) return false;
  const Stopwatch watch;
  pollfd entry{socket_, POLLOUT, 0};
  const int ready = poll(&entry, 1, static_cast<int>(1000 * std::min(left, kLongestWait)) + 1);
  waited_ += watch.seconds();
  return ready > 0 || (ready < 0 && errno == EINTR);
}

ssize_t RequestStream::write(const char* from, size_t size) {
  offered_ += size;
  size_t sent = 0;
  while (sent < size) {
    const ssize_t got = transport_.send(socket_, from + sent, size - sent);
    if (got >= 0) {
      sent += static_cast<size_t>(got);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for_room()) return -1;
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

}  // namespace longshot::net
