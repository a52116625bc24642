#pragma once
// A TCP connection of a client whose every call has a deadline.

#include <span>
#include <string>
#include <string_view>

#include "base/os/clock.h"
#include "base/status.h"

namespace longshot::net {

// Movable only; one thread at a time. Errors: timeout at the deadline, cancelled once a stop is
// requested (base/os/stop.h), unavailable if there is no connection or it breaks. Their messages
// do not name the server.
class ClientSocket {
 public:
  static Result<ClientSocket> connect(const std::string& host, const std::string& port,
                                      Deadline deadline);
  ClientSocket(ClientSocket&& other) noexcept;
  ClientSocket& operator=(ClientSocket&& other) noexcept;
  ~ClientSocket();

  Status write(std::string_view bytes, Deadline deadline);
  // Reads at least one byte, at most out.size(). 0: the server has closed its end.
  Result<size_t> read(std::span<char> out, Deadline deadline);

 private:
  explicit ClientSocket(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace longshot::net
