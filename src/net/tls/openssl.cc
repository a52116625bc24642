#include "net/tls/openssl.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <ctime>

namespace longshot::net {
namespace {

Bio reader_of(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string address_text(const ASN1_OCTET_STRING& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(&address) == 4 ? AF_INET : AF_INET6;
  inet_ntop(family, ASN1_STRING_get0_data(&address), text.data(), text.size());
  return text.data();
}

}  // namespace

std::string openssl_error() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? "unknown error" : reason;
}

Result<std::vector<Certificate>> read_certificates(std::string_view pem, const std::string& where) {
  const Bio reader = reader_of(pem);
  std::vector<Certificate> out;
  while (X509* next = PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr))
    out.emplace_back(next);
  ERR_clear_error();  // the end of the text is an error
  if (!out.empty()) return out;
  return invalid_argument(where + ": is not a certificate in PEM (-----BEGIN CERTIFICATE-----)");
}

Result<PrivateKey> read_private_key(std::string_view pem, const std::string& where) {
  // Without this function OpenSSL asks for the passphrase at the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  PrivateKey key(PEM_read_bio_PrivateKey(reader_of(pem).get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (key) return key;
  return invalid_argument(where + ": is not a private key in PEM without a passphrase");
}

std::string time_text(const ASN1_TIME* time) {
  std::tm parts{};
  std::array<char, 32> text{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown time";
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text.data();
}

std::string names_of(const X509& certificate) {
  std::string out;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_DNS && name->type != GEN_IPADD) continue;
    if (!out.empty()) out += ", ";
    if (name->type == GEN_IPADD) out += address_text(*name->d.iPAddress);
    if (name->type == GEN_DNS)
      out.append(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                 static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
  }
  GENERAL_NAMES_free(names);
  return out.empty() ? "no host" : out;
}

}  // namespace longshot::net
