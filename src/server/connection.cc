#include "server/connection.h"

#include <errno.h>
#include <sys/socket.h>

namespace longshot::server {

bool Connection::gone() const {
  if (fd_ < 0) return false;
  char byte;
  const ssize_t got = recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

}  // namespace longshot::server
