// Servers of etcd with TLS, with certificates of clients, and with users.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text/base64.h"
#include "cluster/etcd.h"
#include "cluster/etcd_client.h"
#include "cluster/etcd_testing.h"
#include "cluster/testing.h"
#include "net/tls/testing.h"

namespace longshot::cluster {
namespace {

using testing::HasSubstr;

class EtcdAccessTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_etcd()) GTEST_SKIP() << kNeedsEtcd;
    signal(SIGPIPE, SIG_IGN);  // as in the program
  }
  net::TestAuthority authority_, other_;
};

Status try_put(const ClusterUrl& url, const EtcdAccess& access, double seconds = 10) {
  const auto directory = make_etcd_directory(url, {.access = access});
  return directory->put("a", "1", 0, Deadline::after_seconds(seconds)).status();
}

// A folder that has the authority alone.
std::string authority_only(const std::string& folder) {
  std::filesystem::remove(folder + "/tls.crt");
  std::filesystem::remove(folder + "/tls.key");
  return folder;
}

TEST_F(EtcdAccessTest, CallsAndWatchesTravelOverTls) {
  const EtcdServers servers(1, authority_.folder({"127.0.0.1"}));
  const EtcdAccess access{.tls_dir = authority_only(authority_.folder({"unused"}))};
  const auto directory = make_etcd_directory(servers.url("tls"), {.access = access});
  ASSERT_TRUE(directory->put("a", "1", 0, soon()).ok());
  EXPECT_EQ(directory->get("a", soon())->value, "1");
  EventLog log;
  const auto watch = directory->watch("", {}, log.callback());
  ASSERT_TRUE(directory->put("b", "2", 0, soon()).ok());
  EXPECT_TRUE(eventually([&] { return log.size() >= 2; }, 60));
  const auto health = try_etcd(servers.url("tls"), {.access = access}, soon());
  ASSERT_TRUE(health.ok()) << health.status().message();
  EXPECT_THAT(health->version, HasSubstr("3."));
  EXPECT_GT(health->put_seconds, 0);
  EXPECT_EQ(directory->list("doctor/", soon())->entries.size(), 0u);
}

TEST_F(EtcdAccessTest, AServerThatIsNotTheRightOneIsRefused) {
  const EtcdServers servers(1, authority_.folder({"127.0.0.1"}));
  const Status foreign = try_put(servers.url("run"), {.tls_dir = other_.folder({"unused"})});
  EXPECT_EQ(foreign.code(), StatusCode::invalid_argument);
  EXPECT_THAT(foreign.message(), HasSubstr("is not accepted with the authority in"));
  ClusterUrl named = servers.url("run");
  named.endpoints = {"localhost:" + std::to_string(servers.port(0))};
  const Status wrong = try_put(named, {.tls_dir = authority_.folder({"unused"})});
  EXPECT_EQ(wrong.code(), StatusCode::invalid_argument);
  EXPECT_THAT(wrong.message(), HasSubstr("is for other hosts"));
}

TEST_F(EtcdAccessTest, OneEndWithTlsAndOneWithoutIsSaid) {
  const EtcdServers servers(1, authority_.folder({"127.0.0.1"}));
  ClusterUrl plain = servers.url("run");
  plain.tls = false;
  EXPECT_THAT(try_put(plain, {}, 1).message(), HasSubstr("write etcds://"));
  ClusterUrl encrypted = shared_etcd().url("run");
  encrypted.tls = true;
  EXPECT_THAT(try_put(encrypted, {.tls_dir = authority_.folder({"unused"})}, 1).message(),
              HasSubstr("does it use TLS"));
}

TEST_F(EtcdAccessTest, AServerThatWantsCertificatesGetsThem) {
  const std::string own = authority_.folder({"127.0.0.1"});
  const EtcdServers servers(1, own, "--client-cert-auth --trusted-ca-file " + own + "/ca.crt");
  EXPECT_TRUE(try_put(servers.url("run"), {.tls_dir = authority_.folder({"client"})}).ok());
  const std::string without = authority_only(authority_.folder({"client"}));
  const Status refused = try_put(servers.url("run"), {.tls_dir = without}, 2);
  EXPECT_EQ(refused.code(), StatusCode::unavailable);
  EXPECT_THAT(refused.message(), HasSubstr("the certificate that it wants"));
}

// An etcd with the user "runs", who may change the keys of runs only, and "root".
void add_users(const ClusterUrl& url) {
  EtcdClient client(url, {});
  const auto call = [&](const std::string& path, const Json& request) {
    const auto answer = client.call("/v3/auth/" + path, request, soon());
    ASSERT_TRUE(answer.ok()) << path << answer.status().message();
  };
  for (const char* name : {"root", "runs"}) {
    call("role/add", {{"name", name}});
    call("user/add", {{"name", name}, {"password", std::string(name) + " secret: 1"}});
    call("user/grant", {{"user", name}, {"role", name}});
  }
  call("role/grant", {{"name", "runs"},
                      {"perm",
                       {{"permType", "READWRITE"},
                        {"key", to_base64("/longshot/")},
                        {"range_end", to_base64("/longshot0")}}}});
  call("enable", Json::object());
}

const EtcdAccess kUser{.user = "runs", .password = "runs secret: 1"};

TEST_F(EtcdAccessTest, UsersLogInAndOthersAreTurnedAway) {
  const EtcdServers servers;
  const ClusterUrl url = servers.url("users");
  add_users(url);
  const auto directory = make_etcd_directory(url, {.access = kUser});
  const auto lease = directory->grant(5, soon());
  ASSERT_TRUE(lease.ok()) << lease.status().message();
  EXPECT_TRUE(directory->put("a", "1", lease->id, soon()).ok());
  EXPECT_TRUE(directory->keep_alive(lease->id, soon()).ok());
  EXPECT_TRUE(directory->revoke(lease->id, soon()).ok());
  EXPECT_TRUE(try_etcd(url, {.access = kUser}, soon()).ok());
  const Status nameless = try_put(url, {});
  EXPECT_EQ(nameless.code(), StatusCode::invalid_argument);
  EXPECT_THAT(nameless.message(), HasSubstr("--etcd-login-file"));
  const Status wrong = try_put(url, {.user = "runs", .password = "guessed"});
  EXPECT_EQ(wrong.code(), StatusCode::invalid_argument);
  EXPECT_THAT(wrong.message(), HasSubstr("login of user 'runs'"));
}

TEST_F(EtcdAccessTest, ALoginThatEtcdHasForgottenIsRenewed) {
  EtcdServers servers;
  const ClusterUrl url = servers.url("renewed");
  add_users(url);
  const auto directory = make_etcd_directory(url, {.access = kUser, .stream_seconds = 1});
  EventLog log;
  const auto watch = directory->watch("", {}, log.callback());
  ASSERT_TRUE(directory->put("a", "1", 0, soon()).ok());
  ASSERT_TRUE(eventually([&] { return log.size() >= 1; }, 60));
  servers.kill(0);  // its logins are in memory
  servers.restart(0);
  const auto put = directory->put("b", "2", 0, Deadline::after_seconds(20));
  EXPECT_TRUE(put.ok()) << put.status().message();
  EXPECT_TRUE(eventually([&] { return log.size() >= 2; }, 60));
}

// Nothing but the watch talks to etcd, so that the watch itself must log in again.
TEST_F(EtcdAccessTest, AWatchRenewsTheLoginByItself) {
  EtcdServers servers;
  const ClusterUrl url = servers.url("watched");
  add_users(url);
  const auto directory = make_etcd_directory(url, {.access = kUser, .stream_seconds = 1});
  EventLog log;
  const auto watch = directory->watch("", {.revision = 1}, log.callback());
  servers.kill(0);
  servers.restart(0);
  ASSERT_TRUE(make_etcd_directory(url, {.access = kUser})
                  ->put("a", "1", 0, Deadline::after_seconds(20))
                  .ok());
  EXPECT_TRUE(eventually([&] { return log.size() >= 1; }, 60));
}

}  // namespace
}  // namespace longshot::cluster
