#pragma once
// TLS over a connected, non-blocking socket.

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/status.h"
#include "net/tls/tls_identity.h"

struct ssl_st;
struct x509_store_ctx_st;

namespace longshot::net {

// Borrows the socket, which must be open until the session is destroyed. SIGPIPE must be ignored,
// as base/os/stop.h does. One thread at a time.
class TlsSession {
 public:
  // `host` is the name or address for which the server's certificate must be.
  static std::unique_ptr<TlsSession> client(std::shared_ptr<const TlsIdentity> identity, int socket,
                                            const std::string& host);
  static std::unique_ptr<TlsSession> server(std::shared_ptr<const TlsIdentity> identity,
                                            int socket);
  ~TlsSession();

  // Like the system's calls for a non-blocking socket. -1 with errno EAGAIN: the socket must be
  // ready for wanted() first. -1 with errno EPROTO: the session has failed, and failure() says why.
  // The first calls make the connection; connect() returns 1 once that is done.
  int connect();
  ssize_t receive(char* to, size_t size);
  ssize_t send(const char* from, size_t size);
  void end();  // tells the other end that nothing follows

  short wanted() const { return wanted_; }  // POLLIN or POLLOUT
  // invalid_argument if one end does not accept the other's certificate, or the server does not use
  // TLS; otherwise unavailable.
  const Status& failure() const { return failure_; }

 private:
  TlsSession(std::shared_ptr<const TlsIdentity> identity, int socket, std::string host);
  int outcome(int result);
  Status explain() const;
  static int verified(int accepted, x509_store_ctx_st* check);

  const std::shared_ptr<const TlsIdentity> identity_;
  const std::string host_;  // empty: this is the server's end
  ssl_st* const ssl_;
  short wanted_;
  std::string refusal_;  // why this end does not accept the other's certificate; empty: it does
  Status failure_;
};

}  // namespace longshot::net
