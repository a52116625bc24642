#include "net/tls/certificates.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cctype>

#include "net/tls/openssl.h"

namespace longshot::net {
namespace {

constexpr double kBackdateSeconds = 3600;

bool is_address(const std::string& host) {
  in6_addr bytes;
  return inet_pton(AF_INET, host.c_str(), &bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

bool is_name(const std::string& host) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  };
  return !host.empty() && host.size() < 254 && host[0] != '.' && host[0] != '-' &&
         std::all_of(host.begin(), host.end(), allowed);
}

std::string written(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

bool add_extension(X509& certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, &certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  const bool added = extension != nullptr && X509_add_ext(&certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

void add_to_subject(X509& certificate, const char* field, const std::string& text) {
  X509_NAME_add_entry_by_txt(X509_get_subject_name(&certificate), field, MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1, 0);
}

// Everything but the issuer, the extensions and the signature. A serial number is 127 random bits.
// Hosts have no common name, because an etcd with users refuses clients that have one.
Certificate blank(EVP_PKEY* key, const Validity& validity) {
  Certificate out(X509_new());
  X509_set_version(out.get(), 2);  // X.509 v3
  const std::unique_ptr<BIGNUM, FreeWith<BN_free>> serial(BN_new());
  BN_rand(serial.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY);
  BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(out.get()));
  ASN1_TIME_set(X509_getm_notBefore(out.get()), validity.from);
  ASN1_TIME_set(X509_getm_notAfter(out.get()), validity.until);
  X509_set_pubkey(out.get(), key);
  add_to_subject(*out, "O", "longshot");
  return out;
}

Result<KeyAndCertificate> to_pem(const X509& certificate, const EVP_PKEY& key) {
  const Bio key_text(BIO_new(BIO_s_mem())), certificate_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(key_text.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) !=
          1 ||
      PEM_write_bio_X509(certificate_text.get(), &certificate) != 1)
    return internal_error("a certificate could not be written: " + openssl_error());
  return KeyAndCertificate{written(key_text), written(certificate_text)};
}

}  // namespace

Validity valid_for(double days) {
  const auto now = std::time(nullptr);
  return {now - static_cast<std::time_t>(kBackdateSeconds),
          now + static_cast<std::time_t>(days * 86400)};
}

Result<KeyAndCertificate> make_authority(const std::string& name, const Validity& validity) {
  const PrivateKey key(EVP_EC_gen("P-256"));
  if (!key) return internal_error("a key could not be made: " + openssl_error());
  const Certificate out = blank(key.get(), validity);
  add_to_subject(*out, "CN", name);
  X509_set_issuer_name(out.get(), X509_get_subject_name(out.get()));
  const bool made =
      add_extension(*out, out.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      add_extension(*out, out.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
      add_extension(*out, out.get(), NID_subject_key_identifier, "hash") &&
      X509_sign(out.get(), key.get(), EVP_sha256()) > 0;
  if (!made) return internal_error("an authority could not be made: " + openssl_error());
  return to_pem(*out, *key);
}

Result<KeyAndCertificate> make_certificate(const KeyAndCertificate& authority,
                                           const std::vector<std::string>& hosts,
                                           const Validity& validity, const std::string& where) {
  std::string names;
  for (const std::string& host : hosts) {
    if (!is_address(host) && !is_name(host))
      return invalid_argument("'" + host + "' is not a host name or an address");
    names += (names.empty() ? "" : ",") + std::string(is_address(host) ? "IP:" : "DNS:") + host;
  }
  LS_ASSIGN_OR_RETURN(const auto issuers, read_certificates(authority.certificate, where));
  LS_ASSIGN_OR_RETURN(const PrivateKey issuer_key, read_private_key(authority.key, where));
  const PrivateKey key(EVP_EC_gen("P-256"));
  if (!key) return internal_error("a key could not be made: " + openssl_error());
  const Certificate out = blank(key.get(), validity);
  X509* const issuer = issuers[0].get();
  X509_set_issuer_name(out.get(), X509_get_subject_name(issuer));
  const bool made = add_extension(*out, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
                    add_extension(*out, issuer, NID_key_usage, "critical,digitalSignature") &&
                    add_extension(*out, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
                    add_extension(*out, issuer, NID_subject_key_identifier, "hash") &&
                    add_extension(*out, issuer, NID_authority_key_identifier, "keyid:always") &&
                    add_extension(*out, issuer, NID_subject_alt_name, names) &&
                    X509_sign(out.get(), issuer_key.get(), EVP_sha256()) > 0;
  if (!made) return internal_error("a certificate could not be made: " + openssl_error());
  return to_pem(*out, *key);
}

}  // namespace longshot::net
