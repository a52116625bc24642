#include "net/tls/tls_session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "net/tls/openssl.h"

namespace longshot::net {
namespace {

constexpr size_t kReadAhead = 256 << 10;  // bytes

int length(size_t size) {
  return static_cast<int>(std::min<size_t>(size, INT_MAX));
}

bool is_address(const std::string& host) {
  in6_addr bytes;
  return inet_pton(AF_INET, host.c_str(), &bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

void expect_host(SSL* ssl, const std::string& host) {
  if (is_address(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  } else {
    SSL_set1_host(ssl, host.c_str());
    SSL_set_tlsext_host_name(ssl, host.c_str());
  }
}

// Why this end does not accept the certificate of the other one.
std::string explain_refusal(int code, const X509& shown, const std::string& host,
                            const TlsIdentity& identity) {
  const std::string who = host.empty() ? "the client" : "the server";
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return who + "'s certificate expired on " + time_text(X509_get0_notAfter(&shown)) +
             "; make a new one, or set this machine's clock";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return who + "'s certificate is valid from " + time_text(X509_get0_notBefore(&shown)) +
             " only; is this machine's clock right?";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return who + "'s certificate is for " + names_of(shown) + ", not for " + host +
             "; make one that names it (longshot certificates --host " + host + ")";
    default:
      return who + "'s certificate was not signed by the authority in " + identity.folder() +
             "/ca.crt: " + X509_verify_cert_error_string(code);
  }
}

// What the other end has said about this one's certificate; empty if it is another problem.
std::string accusation(int reason, const TlsIdentity& identity) {
  const std::string own = identity.folder() + "/tls.crt";
  switch (reason) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "the other end says that the certificate in " + own +
             " has expired; are the clocks of both machines right?";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "the other end does not trust the authority that signed " + own;
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return "the other end does not accept the certificate in " + own;
    default:
      return "";
  }
}

}  // namespace

TlsSession::TlsSession(std::shared_ptr<const TlsIdentity> identity, int socket, std::string host)
    : identity_(std::move(identity)),
      host_(std::move(host)),
      ssl_(SSL_new(identity_->context())),
      wanted_(POLLIN) {
  SSL_set_fd(ssl_, socket);
  SSL_set_app_data(ssl_, this);
  SSL_set_verify(ssl_, SSL_CTX_get_verify_mode(identity_->context()), &TlsSession::verified);
}

TlsSession::~TlsSession() {
  SSL_free(ssl_);
}

std::unique_ptr<TlsSession> TlsSession::client(std::shared_ptr<const TlsIdentity> identity,
                                               int socket, const std::string& host) {
  std::unique_ptr<TlsSession> out(new TlsSession(std::move(identity), socket, host));
  expect_host(out->ssl_, host);
  // Fewer calls of the system for large answers. A server must not do it: what a session has read
  // ahead cannot be seen at its socket.
  SSL_set_read_ahead(out->ssl_, 1);
  SSL_set_default_read_buffer_len(out->ssl_, kReadAhead);
  SSL_set_connect_state(out->ssl_);
  return out;
}

std::unique_ptr<TlsSession> TlsSession::server(std::shared_ptr<const TlsIdentity> identity,
                                               int socket) {
  std::unique_ptr<TlsSession> out(new TlsSession(std::move(identity), socket, ""));
  SSL_set_accept_state(out->ssl_);
  return out;
}

// OpenSSL calls it for each certificate, and for each problem with one.
int TlsSession::verified(int accepted, X509_STORE_CTX* check) {
  const auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* self = static_cast<TlsSession*>(SSL_get_app_data(ssl));
  const X509* shown = X509_STORE_CTX_get_current_cert(check);
  if (accepted == 0 && shown != nullptr)
    self->refusal_ =
        explain_refusal(X509_STORE_CTX_get_error(check), *shown, self->host_, *self->identity_);
  return accepted;
}

int TlsSession::connect() {
  ERR_clear_error();
  return outcome(SSL_do_handshake(ssl_));
}

ssize_t TlsSession::receive(char* to, size_t size) {
  ERR_clear_error();
  return outcome(SSL_read(ssl_, to, length(size)));
}

ssize_t TlsSession::send(const char* from, size_t size) {
  ERR_clear_error();
  return outcome(SSL_write(ssl_, from, length(size)));
}

void TlsSession::end() {
  if (!failure_.ok() || SSL_in_init(ssl_)) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

int TlsSession::outcome(int result) {
  if (result > 0) return result;
  const int system_error = errno;
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    wanted_ = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    errno = EAGAIN;
    return -1;
  }
  if (failure_.ok()) failure_ = explain();
  if (error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0 && system_error != 0)
    failure_ = unavailable(std::string("the connection broke: ") + std::strerror(system_error));
  ERR_clear_error();
  errno = EPROTO;
  return -1;
}

Status TlsSession::explain() const {
  if (!refusal_.empty()) return invalid_argument(refusal_);
  const int reason = ERR_GET_REASON(ERR_peek_error());
  const std::string accused = accusation(reason, *identity_);
  if (!accused.empty()) return invalid_argument(accused);
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
    return invalid_argument("the client has no certificate");
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
      reason == SSL_R_PACKET_LENGTH_TOO_LONG)
    return invalid_argument("the other end does not use TLS");
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING || ERR_peek_error() == 0)
    return unavailable("the connection ended within TLS");
  return unavailable("TLS: " + std::string(ERR_reason_error_string(ERR_peek_error())));
}

}  // namespace longshot::net
