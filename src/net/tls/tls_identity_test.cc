#include "net/tls/tls_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/tls/openssl.h"
#include "net/tls/testing.h"

namespace longshot::net {
namespace {

using testing::HasSubstr;

std::string problem(const std::string& folder) {
  const auto identity = TlsIdentity::load(folder);
  EXPECT_TRUE(identity.ok() || identity.status().code() == StatusCode::invalid_argument);
  return identity.status().message();
}

TEST(TlsIdentity, ReadsWhatTheAuthorityMade) {
  TestAuthority authority;
  const std::string folder = authority.folder({"host-1", "10.0.0.7"});
  const auto identity = TlsIdentity::load(folder);
  ASSERT_TRUE(identity.ok()) << identity.status().message();
  EXPECT_EQ((*identity)->authority(), authority.pem().certificate);
  EXPECT_THAT((*identity)->certificate(), HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_THAT((*identity)->key(), HasSubstr("BEGIN PRIVATE KEY"));
  EXPECT_NEAR((*identity)->days_left(), 1, 0.1);
}

TEST(TlsIdentity, EachFileThatIsMissingOrWrongIsNamed) {
  TestAuthority authority;
  for (const std::string name : {"ca.crt", "tls.crt", "tls.key"}) {
    const std::string folder = authority.folder({"host"});
    TestAuthority::write(folder + "/" + name, "not PEM\n");
    EXPECT_THAT(problem(folder), HasSubstr(folder + "/" + name + ": is not a"));
    std::filesystem::remove(folder + "/" + name);
    EXPECT_THAT(problem(folder), HasSubstr(name));
    EXPECT_THAT(problem(folder), HasSubstr("longshot certificates"));
  }
}

TEST(TlsIdentity, CertificatesThatOthersWouldRefuseAreRefused) {
  TestAuthority authority, other;
  EXPECT_THAT(problem(authority.folder({"host"}, expired())), HasSubstr("expired on"));
  const std::time_t now = std::time(nullptr);
  EXPECT_THAT(problem(authority.folder({"host"}, {now + 3600, now + 7200})),
              HasSubstr("is valid from"));
  const std::string foreign = authority.folder({"host"});
  TestAuthority::write(foreign + "/ca.crt", other.pem().certificate);
  EXPECT_THAT(problem(foreign), HasSubstr("was not signed by the authority in " + foreign));
  const std::string mixed = authority.folder({"host"});
  std::filesystem::copy_file(authority.folder({"host"}) + "/tls.key", mixed + "/tls.key",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(problem(mixed), HasSubstr("tls.key: the key does not belong"));
}

TEST(Certificates, NamesAndAddressesAreThoseThatWereAskedFor) {
  TestAuthority authority;
  const auto made =
      make_certificate(authority.pem(), {"a.example", "10.0.0.7", "fe80::1"}, valid_for(1), "test");
  ASSERT_TRUE(made.ok());
  const auto read = read_certificates(made->certificate, "test");
  EXPECT_EQ(names_of(*read->at(0)), "a.example, 10.0.0.7, fe80::1");
}

TEST(Certificates, WhatIsNotAHostIsRefused) {
  TestAuthority authority;
  for (const char* host : {"", "a b", "a,DNS:b", "*.example", "-a", "a/b", "http://a"}) {
    const auto made = make_certificate(authority.pem(), {"good", host}, valid_for(1), "test");
    EXPECT_EQ(made.status().code(), StatusCode::invalid_argument) << host;
  }
}

TEST(Certificates, AHostCannotBeAnAuthority) {
  TestAuthority authority;
  const auto host = make_certificate(authority.pem(), {"host"}, valid_for(1), "test").value();
  const auto made = make_certificate(host, {"other"}, valid_for(1), "test").value();
  const std::string folder = authority.folder({"other"});
  TestAuthority::write(folder + "/tls.crt", made.certificate + host.certificate);
  TestAuthority::write(folder + "/tls.key", made.key);
  EXPECT_THAT(problem(folder), HasSubstr("was not signed by the authority"));
}

TEST(CheckScheme, BothEndsMustAgree) {
  TestAuthority authority;
  const Credentials plain, encrypted{"", authority.identity({"host"})};
  EXPECT_TRUE(check_scheme("http://a:1", plain).ok());
  EXPECT_TRUE(check_scheme("https://a:1", encrypted).ok());
  EXPECT_THAT(check_scheme("https://a:1", plain).message(), HasSubstr("--tls-dir"));
  EXPECT_THAT(check_scheme("http://a:1", encrypted).message(), HasSubstr("does not use TLS"));
}

}  // namespace
}  // namespace longshot::net
