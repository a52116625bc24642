#pragma once
// OpenSSL's objects as owned values, and its errors as text. Only sources of net/tls/ include this.

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longshot::net {

template <auto free_function>
struct FreeWith {
  template <typename T>
  void operator()(T* object) const {
    free_function(object);
  }
};
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, FreeWith<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using SslContext = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, FreeWith<SSL_free>>;

// The oldest error that OpenSSL has recorded on this thread; clears all of them.
std::string openssl_error();

// All certificates of a PEM text, in their order. `where` is the prefix of errors.
Result<std::vector<Certificate>> read_certificates(std::string_view pem, const std::string& where);
Result<PrivateKey> read_private_key(std::string_view pem, const std::string& where);

// "2026-01-31 13:05:00 UTC"
std::string time_text(const ASN1_TIME* time);
// The host names and addresses that a certificate is valid for, separated by ", ".
std::string names_of(const X509& certificate);

}  // namespace longshot::net
