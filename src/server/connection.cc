#include "server/connection.h"

#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>

#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>

namespace longshot::server {
namespace {

bool has_remote_end(int fd, const std::string& address, const std::string& port) {
  sockaddr_storage remote{};
  socklen_t size = sizeof(remote);
  auto* generic = reinterpret_cast<sockaddr*>(&remote);
  if (getpeername(fd, generic, &size) != 0) return false;
  char host[NI_MAXHOST], service[NI_MAXSERV];
  const int flags = NI_NUMERICHOST | NI_NUMERICSERV;
  if (getnameinfo(generic, size, host, sizeof(host), service, sizeof(service), flags) != 0)
    return false;
  return port == service && address == host;
}

std::optional<int> descriptor_of(const std::filesystem::path& entry) {
  const std::string name = entry.filename().string();
  int fd = -1;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), fd);
  if (parsed.ec != std::errc()) return std::nullopt;
  return fd;
}

}  // namespace

Connection Connection::find(const std::string& remote_address, int remote_port) {
  const std::string port = std::to_string(remote_port);
  std::error_code error;
  std::filesystem::directory_iterator entries("/proc/self/fd", error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const auto fd = descriptor_of(entries->path());
    if (fd && has_remote_end(*fd, remote_address, port)) return Connection(*fd);
  }
  return {};
}

bool Connection::gone() const {
  if (fd_ < 0) return false;
  char byte;
  const ssize_t got = recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

}  // namespace longshot::server
