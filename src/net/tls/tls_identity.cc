#include "net/tls/tls_identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <filesystem>
#include <vector>

#include "base/os/fs.h"
#include "net/tls/openssl.h"

namespace longshot::net {
namespace {

struct ChainCheck {
  const std::vector<Certificate>& chain;  // the certificate of this host first
  const std::vector<Certificate>& authority;
};

// Returns OpenSSL's code; 0 if the chain leads to the authority and may be used for the purpose.
int verify(const ChainCheck& check, int purpose) {
  const std::unique_ptr<X509_STORE, FreeWith<X509_STORE_free>> store(X509_STORE_new());
  for (const Certificate& one : check.authority) X509_STORE_add_cert(store.get(), one.get());
  STACK_OF(X509)* between = sk_X509_new_null();
  for (const Certificate& one : check.chain) sk_X509_push(between, one.get());
  const std::unique_ptr<X509_STORE_CTX, FreeWith<X509_STORE_CTX_free>> context(
      X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), check.chain[0].get(), between);
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  const bool valid = X509_verify_cert(context.get()) == 1;
  const int code = valid ? X509_V_OK : X509_STORE_CTX_get_error(context.get());
  sk_X509_free(between);
  ERR_clear_error();
  return code;
}

Status explain(int code, const X509& certificate, const std::string& folder) {
  const std::string where = folder + kCertificateFile;
  switch (code) {
    case X509_V_OK:
      return ok_status();
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return invalid_argument(where + ": the certificate expired on " +
                              time_text(X509_get0_notAfter(&certificate)) +
                              "; make a new one, or set this machine's clock");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return invalid_argument(where + ": the certificate is valid from " +
                              time_text(X509_get0_notBefore(&certificate)) +
                              " only; is this machine's clock right?");
    case X509_V_ERR_INVALID_PURPOSE:
      return invalid_argument(where +
                              ": the certificate must be for clients and servers (extended key "
                              "usage clientAuth and serverAuth)");
    default:
      return invalid_argument(where + ": the certificate was not signed by the authority in " +
                              folder + kAuthorityFile + ": " + X509_verify_cert_error_string(code));
  }
}

Result<std::string> read_input(const std::string& path) {
  auto content = read_file(path);
  if (content.ok()) return content;
  return invalid_argument(content.status().message() +
                          "; a folder for TLS has ca.crt, tls.crt and tls.key, which `longshot "
                          "certificates` makes");
}

Status check_pair(const std::string& certificate, const std::string& key,
                  const std::string& folder) {
  LS_ASSIGN_OR_RETURN(const auto chain, read_certificates(certificate, folder + kCertificateFile));
  LS_ASSIGN_OR_RETURN(const PrivateKey own, read_private_key(key, folder + kKeyFile));
  const bool fits = X509_check_private_key(chain[0].get(), own.get()) == 1;
  ERR_clear_error();
  if (!fits)
    return invalid_argument(folder + kKeyFile + ": the key does not belong to the certificate in " +
                            folder + kCertificateFile);
  if (X509_cmp_current_time(X509_get0_notAfter(chain[0].get())) < 0)
    return explain(X509_V_ERR_CERT_HAS_EXPIRED, *chain[0], folder);
  return ok_status();
}

}  // namespace

Result<std::shared_ptr<const TlsIdentity>> TlsIdentity::load(const std::string& folder) {
  const std::shared_ptr<TlsIdentity> out(new TlsIdentity());
  out->folder_ = folder;
  for (const auto& [name, text] : {std::pair(kAuthorityFile, &out->authority_),
                                   {kCertificateFile, &out->certificate_},
                                   {kKeyFile, &out->key_}}) {
    LS_ASSIGN_OR_RETURN(*text, read_input(folder + name));
  }
  LS_RETURN_IF_ERROR(out->check());
  LS_RETURN_IF_ERROR(out->make_context());
  return std::shared_ptr<const TlsIdentity>(out);
}

TlsIdentity::~TlsIdentity() {
  SSL_CTX_free(context_);
}

Status TlsIdentity::check() const {
  LS_ASSIGN_OR_RETURN(const auto authority,
                      read_certificates(authority_, folder_ + kAuthorityFile));
  LS_ASSIGN_OR_RETURN(const auto chain,
                      read_certificates(certificate_, folder_ + kCertificateFile));
  LS_RETURN_IF_ERROR(check_pair(certificate_, key_, folder_));
  for (const int purpose : {X509_PURPOSE_SSL_CLIENT, X509_PURPOSE_SSL_SERVER})
    LS_RETURN_IF_ERROR(explain(verify({chain, authority}, purpose), *chain[0], folder_));
  return ok_status();
}

Status TlsIdentity::make_context() {
  context_ = SSL_CTX_new(TLS_method());
  const ClientFiles files{folder_, authority_, certificate_, key_};
  LS_RETURN_IF_ERROR(files.apply_to(context_));
  LS_ASSIGN_OR_RETURN(const auto authority,
                      read_certificates(authority_, folder_ + kAuthorityFile));
  for (const Certificate& one : authority) SSL_CTX_add_client_CA(context_, one.get());
  SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
  // AES of 128 bits is the fastest where processors have instructions for it.
  SSL_CTX_set_ciphersuites(context_,
                           "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                           "TLS_CHACHA20_POLY1305_SHA256");
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Sessions are not resumed, so that each connection shows its certificate.
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context_, 0);
  return ok_status();
}

std::string TlsIdentity::expiry() const {
  return time_text(X509_get0_notAfter(SSL_CTX_get0_certificate(context_)));
}

double TlsIdentity::days_left() const {
  int days = 0, seconds = 0;
  ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(SSL_CTX_get0_certificate(context_)));
  return days + seconds / 86400.0;
}

Result<std::shared_ptr<const ClientFiles>> ClientFiles::load(const std::string& folder) {
  const auto out = std::make_shared<ClientFiles>();
  out->folder = folder;
  LS_ASSIGN_OR_RETURN(out->authority, read_input(folder + kAuthorityFile));
  LS_RETURN_IF_ERROR(read_certificates(out->authority, folder + kAuthorityFile).status());
  std::error_code ignored;
  if (std::filesystem::exists(folder + kCertificateFile, ignored)) {
    LS_ASSIGN_OR_RETURN(out->certificate, read_input(folder + kCertificateFile));
    LS_ASSIGN_OR_RETURN(out->key, read_input(folder + kKeyFile));
    LS_RETURN_IF_ERROR(check_pair(out->certificate, out->key, folder));
  }
  return std::shared_ptr<const ClientFiles>(out);
}

Status ClientFiles::apply_to(SSL_CTX* context) const {
  LS_ASSIGN_OR_RETURN(const auto trusted, read_certificates(authority, folder + kAuthorityFile));
  for (const Certificate& one : trusted)
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one.get());
  if (certificate.empty()) return ok_status();
  LS_ASSIGN_OR_RETURN(const auto chain, read_certificates(certificate, folder + kCertificateFile));
  LS_ASSIGN_OR_RETURN(const PrivateKey own, read_private_key(key, folder + kKeyFile));
  bool done = SSL_CTX_use_certificate(context, chain[0].get()) == 1 &&
              SSL_CTX_use_PrivateKey(context, own.get()) == 1;
  for (size_t i = 1; i < chain.size(); ++i)
    done = done && SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  if (done) return ok_status();
  return invalid_argument(folder + kCertificateFile + ": " + openssl_error());
}

const char* scheme_of(const Credentials& credentials) {
  return credentials.tls ? "https" : "http";
}

Status check_scheme(const std::string& url, const Credentials& credentials) {
  const bool encrypted = url.starts_with("https://");
  if (encrypted == (credentials.tls != nullptr)) return ok_status();
  if (encrypted)
    return invalid_argument(url +
                            " uses TLS, and this process has no certificate: give --tls-dir "
                            "(cluster.tls_dir) with the folder made for this host");
  return invalid_argument(url +
                          " does not use TLS, and this process accepts nothing else because of "
                          "--tls-dir (cluster.tls_dir); give the other process its folder too");
}

}  // namespace longshot::net
