#include "net/tls/transport.h"

#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <unordered_map>

#include "base/log.h"
#include "net/tls/tls_session.h"

namespace longshot::net {
namespace {

class PlainTransport final : public Transport {
 public:
  ssize_t receive(int socket, char* to, size_t size) override {
    return ::recv(socket, to, size, MSG_DONTWAIT);
  }
  ssize_t send(int socket, const char* from, size_t size) override {
    return ::send(socket, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  void end(int socket) override { ::shutdown(socket, SHUT_WR); }
  void close(int socket) override { ::close(socket); }
};

// A session begins with the first use of a socket and ends with close(). OpenSSL reads one record
// at a time, and a buffer of 16 KiB takes a whole one, so no bytes wait inside a session while its
// socket looks idle.
class TlsTransport final : public Transport {
 public:
  explicit TlsTransport(std::shared_ptr<const IdentityFolder> tls) : tls_(std::move(tls)) {}

  ssize_t receive(int socket, char* to, size_t size) override {
    TlsSession& session = session_of(socket);
    const ssize_t got = session.receive(to, size);
    if (got < 0 && !session.failure().ok())
      log::debug("a TLS connection is refused: {}", session.failure().message());
    return got;
  }
  ssize_t send(int socket, const char* from, size_t size) override {
    return session_of(socket).send(from, size);
  }
  void end(int socket) override {
    session_of(socket).end();
    ::shutdown(socket, SHUT_WR);
  }
  void close(int socket) override {
    {
      std::lock_guard lock(mutex_);
      sessions_.erase(socket);
    }
    ::close(socket);  // last: the number may be used again at once
  }

 private:
  TlsSession& session_of(int socket) {
    std::lock_guard lock(mutex_);
    auto& session = sessions_[socket];
    if (!session) session = TlsSession::server(tls_->current(), socket);
    return *session;
  }

  const std::shared_ptr<const IdentityFolder> tls_;
  std::mutex mutex_;
  std::unordered_map<int, std::unique_ptr<TlsSession>> sessions_;
};

}  // namespace

std::unique_ptr<Transport> make_transport(std::shared_ptr<const IdentityFolder> tls) {
  if (tls == nullptr) return std::make_unique<PlainTransport>();
  return std::make_unique<TlsTransport>(std::move(tls));
}

}  // namespace longshot::net
