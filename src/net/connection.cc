#include "net/connection.h"

#include <poll.h>

namespace longshot::net {

// Does not read to find out: bytes of the next request may precede the end of the connection.
bool Connection::gone() const {
  if (fd_ < 0) return false;
  pollfd entry{fd_, POLLRDHUP, 0};
  return poll(&entry, 1, 0) > 0;
}

}  // namespace longshot::net
