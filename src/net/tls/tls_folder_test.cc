#include "net/tls/tls_folder.h"

#include <gtest/gtest.h>

#include "net/tls/testing.h"

namespace longshot::net {
namespace {

TEST(TlsFolder, FilesAreReadAgainOnlyAfterAChange) {
  TestAuthority authority;
  const std::string path = authority.folder({"first"});
  const auto folder = IdentityFolder::open(path).value();
  const auto first = folder->current();
  EXPECT_EQ(folder->current(), first);
  TestAuthority::replace(path, authority.folder({"second"}));
  const auto second = folder->current();
  EXPECT_NE(second->certificate(), first->certificate());
  EXPECT_EQ(folder->current(), second);
}

TEST(TlsFolder, APairOfWhichOneFileIsNewIsNotUsed) {
  TestAuthority authority;
  const std::string path = authority.folder({"first"}), renewed = authority.folder({"second"});
  const auto folder = IdentityFolder::open(path).value();
  const auto first = folder->current();
  for (const char* name : {"/tls.crt", "/tls.key"}) {
    EXPECT_EQ(folder->current(), first);
    TestAuthority::replace(path + name, renewed + name);
  }
  EXPECT_EQ(folder->current()->key(), TlsIdentity::load(path).value()->key());
  EXPECT_NE(folder->current(), first);
}

TEST(TlsFolder, FilesThatCannotBeUsedLeaveTheEarlierOnes) {
  TestAuthority authority, other;
  const std::string path = authority.folder({"first"});
  const auto folder = IdentityFolder::open(path).value();
  const auto first = folder->current();
  TestAuthority::replace(path, authority.folder({"first"}, expired()));
  EXPECT_EQ(folder->current(), first);
  TestAuthority::write(path + "/tls.crt", "-----BEGIN CERTIFICATE-----\nMIIB");
  EXPECT_EQ(folder->current(), first);
  std::filesystem::remove_all(path);
  EXPECT_EQ(folder->current(), first);
  TestAuthority::replace(path, other.folder({"first"}));
  EXPECT_EQ(folder->current()->authority(), other.pem().certificate);
}

TEST(TlsFolder, AFolderThatCannotBeUsedIsNotOpened) {
  TestAuthority authority;
  const auto folder = IdentityFolder::open(authority.folder({"first"}, expired()));
  EXPECT_EQ(folder.status().code(), StatusCode::invalid_argument);
}

TEST(ClientFolder, ACertificateMayBeAddedAndRenewedButNotBroken) {
  TestAuthority authority;
  const std::string path = authority.folder({"client"}), whole = authority.folder({"client"});
  for (const char* name : {"/tls.crt", "/tls.key"}) std::filesystem::remove(path + name);
  const auto folder = ClientFolder::open(path).value();
  EXPECT_EQ(folder->current()->certificate, "");
  TestAuthority::replace(path + "/tls.crt", whole + "/tls.crt");
  EXPECT_EQ(folder->current()->certificate, "");
  TestAuthority::replace(path + "/tls.key", whole + "/tls.key");
  EXPECT_EQ(folder->current()->certificate, TlsIdentity::load(path).value()->certificate());
}

}  // namespace
}  // namespace longshot::net
