#pragma once
// The certificate by which a process of a run proves who it is, and the authority that it trusts.
// Connections are mutual TLS 1.3: each end must have a certificate of the same authority.

#include <memory>
#include <string>

#include "base/status.h"
#include "net/tls/tls_folder.h"

struct ssl_ctx_st;

namespace longshot::net {

// Immutable and thread-safe. A connection keeps the identity with which it began.
class TlsIdentity {
 public:
  // Reads ca.crt (the authority), tls.crt (this host's certificate, then those between it and the
  // authority) and tls.key of a folder. Errors (invalid_argument) name the file: it cannot be read,
  // the key belongs to another certificate, or the certificate has expired, was signed by another
  // authority, or may not be used for both clients and servers.
  static Result<std::shared_ptr<const TlsIdentity>> load(const std::string& folder);
  ~TlsIdentity();

  const std::string& folder() const { return folder_; }
  const std::string& authority() const { return authority_; }      // PEM
  const std::string& certificate() const { return certificate_; }  // PEM
  const std::string& key() const { return key_; }                  // PEM
  std::string expiry() const;                                      // "2026-01-31 13:05:00 UTC"
  double days_left() const;                                        // until then
  ssl_ctx_st* context() const { return context_; }                 // for clients and servers

 private:
  TlsIdentity() = default;
  Status check() const;
  Status make_context();

  std::string folder_, authority_, certificate_, key_;
  ssl_ctx_st* context_ = nullptr;
};

// The identity of each new connection.
using IdentityFolder = TlsFolder<TlsIdentity>;

// What a client shows to a server, and what a server demands of its clients.
struct Credentials {
  std::string token = {};                          // "Authorization: Bearer TOKEN"; empty: none
  std::shared_ptr<const IdentityFolder> tls = {};  // null: the connection is not encrypted
};

// What HttpClient trusts and shows. The authority may be another one than that of the certificate.
struct ClientFiles {
  std::string folder;
  std::string authority;         // PEM
  std::string certificate, key;  // PEM; empty: the client has none

  // ca.crt must be there, tls.crt and tls.key may be. Errors (invalid_argument) name the file.
  static Result<std::shared_ptr<const ClientFiles>> load(const std::string& folder);
  // For a context that trusts nobody yet.
  Status apply_to(ssl_ctx_st* context) const;
};
using ClientFolder = TlsFolder<ClientFiles>;

// "https" or "http".
const char* scheme_of(const Credentials& credentials);
// Error: the url has the scheme of servers with TLS and there are no credentials for it, or the
// reverse. A client with a certificate never talks to a server without one.
Status check_scheme(const std::string& url, const Credentials& credentials);

}  // namespace longshot::net
