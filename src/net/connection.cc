#include "net/connection.h"

#include <poll.h>

namespace longshot::net {

// Not by reading: bytes of a next request may lie before the end of the connection.
bool Connection::gone() const {
  if (fd_ < 0) return false;
  pollfd entry{fd_, POLLRDHUP, 0};
  return poll(&entry, 1, 0) > 0;
}

}  // namespace longshot::net
