#pragma once
// A TCP connection of a client, with or without TLS, whose every call has a deadline.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/os/clock.h"
#include "base/status.h"
#include "net/tls/tls_session.h"

namespace longshot::net {

// Movable only; one thread at a time. Errors: timeout at the deadline, cancelled once a stop is
// requested (base/os/stop.h), unavailable if there is no connection or it breaks, and those of
// TlsSession. Their messages do not name the server.
class ClientSocket {
 public:
  // With `tls`, the server must have a certificate for `host`.
  static Result<ClientSocket> connect(const std::string& host, const std::string& port,
                                      Deadline deadline,
                                      const std::shared_ptr<const IdentityFolder>& tls = nullptr);
  ClientSocket(ClientSocket&& other) noexcept;
  ClientSocket& operator=(ClientSocket&& other) noexcept;
  ~ClientSocket();

  // From now on a call that waits ends with unavailable soon after `wanted` returns false. It is
  // called on the thread that waits.
  void wait_while(std::function<bool()> wanted) { wanted_ = std::move(wanted); }

  Status write(std::string_view bytes, Deadline deadline);
  // Reads at least one byte, at most out.size(). 0: the server has closed its end. A server that
  // does not accept this client's certificate is noticed here.
  Result<size_t> read(std::span<char> out, Deadline deadline);

 private:
  explicit ClientSocket(int fd) : fd_(fd) {}
  Status start_tls(const std::shared_ptr<const IdentityFolder>& tls, const std::string& host,
                   Deadline deadline);
  ssize_t receive(std::span<char> out);
  // Waits for what the last call lacked; the error of a call that failed.
  Status recover(short events, Deadline deadline);

  int fd_ = -1;
  std::unique_ptr<TlsSession> session_;
  std::function<bool()> wanted_;  // may be null
};

// The numeric addresses of a host, in the order in which they should be tried. Returns by the
// deadline, unlike the system's call. Errors: timeout; unavailable if the host has no address.
Result<std::vector<std::string>> addresses_of(const std::string& host, Deadline deadline);

}  // namespace longshot::net
