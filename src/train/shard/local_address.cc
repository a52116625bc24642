#include "train/shard/local_address.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace longshot::train {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<Addresses> resolve(const std::string& host, uint16_t port, int type) {
  addrinfo hints{};
  hints.ai_socktype = type;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) return unavailable(fmt::format("host {}: {}", host, ::gai_strerror(error)));
  return Addresses(list, &::freeaddrinfo);
}

// A socket of the address; closed with this object unless released.
class Socket {
 public:
  explicit Socket(const addrinfo& address)
      : fd_(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, address.ai_protocol)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Status failed(const std::string& host, uint16_t port) {
  return unavailable(fmt::format("{}:{}: {}", host, port, std::strerror(errno)));
}

}  // namespace

Result<std::string> address_towards(const std::string& host, uint16_t port) {
  LS_ASSIGN_OR_RETURN(const Addresses list, resolve(host, port, SOCK_DGRAM));
  const Socket socket(*list);
  sockaddr_storage own{};
  socklen_t size = sizeof(own);
  auto* address = reinterpret_cast<sockaddr*>(&own);
  // Connecting a datagram socket chooses a route and sends nothing.
  if (::connect(socket.get(), list->ai_addr, list->ai_addrlen) != 0 ||
      ::getsockname(socket.get(), address, &size) != 0) {
    return failed(host, port);
  }
  std::array<char, NI_MAXHOST> text{};
  const int error =
      ::getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  if (error != 0) return unavailable(fmt::format("host {}: {}", host, ::gai_strerror(error)));
  return std::string(text.data());
}

Result<int> listen_on(const std::string& host, uint16_t port) {
  LS_ASSIGN_OR_RETURN(const Addresses list, resolve(host, port, SOCK_STREAM));
  Socket socket(*list);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (::bind(socket.get(), list->ai_addr, list->ai_addrlen) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0) {
    return failed(host, port);
  }
  return socket.release();
}

}  // namespace longshot::train
