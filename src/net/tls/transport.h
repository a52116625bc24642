#pragma once
// How the bytes of a server's connections travel: as they are, or within TLS.

#include <sys/types.h>

#include <memory>
#include <string_view>

#include "net/tls/tls_identity.h"

namespace longshot::net {

// The sockets are connected and non-blocking. Thread-safe for different sockets.
class Transport {
 public:
  virtual ~Transport() = default;
  // Like recv() and send() without waiting: -1 with errno EAGAIN if nothing is possible now. Errno
  // EPROTO: the client is not accepted; the socket must be closed like any other.
  virtual ssize_t receive(int socket, char* to, size_t size) = 0;
  virtual ssize_t send(int socket, const char* from, size_t size) = 0;
  virtual void end(int socket) = 0;    // nothing is sent after it
  virtual void close(int socket) = 0;  // the descriptor too
};

// Without `tls` the bytes travel as they are.
std::unique_ptr<Transport> make_transport(std::shared_ptr<const IdentityFolder> tls);

}  // namespace longshot::net
