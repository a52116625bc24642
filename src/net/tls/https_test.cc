// The server and the client over TLS, and each of them against another implementation.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "base/rng.h"
#include "net/bulk/http_get.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/tls/testing.h"

namespace longshot::net {
namespace {

using testing::HasSubstr;

Deadline soon() {
  return Deadline::after_seconds(20);
}

// 3 MiB and a little at /data, what was posted at /echo.
struct Server {
  explicit Server(std::shared_ptr<const IdentityFolder> tls, const std::string& key = "") {
    CounterRng rng(1);
    auto made = std::make_shared<std::string>((3 << 20) + 17, '\0');
    for (char& c : *made) c = static_cast<char>(rng.next_u64());
    body = made;
    const Handler data = [this](const Call& call) {
      return range_reply(*body, body, call.range, "application/octet-stream");
    };
    const Handler echo = [](const Call& call) { return Reply{.body = std::string(call.body)}; };
    server =
        HttpServer::start({.port = 0, .api_key = key, .tls = std::move(tls), .access_log = false},
                          {{"GET", "/data", data, true}, {"POST", "/echo", echo}}, requests)
            .value();
  }
  Url url(const std::string& path = "/data", const std::string& host = "127.0.0.1") const {
    return {"https://" + host + ":" + std::to_string(server->port()), path};
  }

  RequestMetrics requests;
  std::shared_ptr<const std::string> body;
  std::unique_ptr<HttpServer> server;
};

TEST(Https, BodiesAndRangesArriveOnOneConnection) {
  TestAuthority authority;
  Server server(authority.identity({"127.0.0.1"}), "secret");
  const Credentials own{"secret", authority.identity({"reader"})};
  auto connection = HttpGet::connect(server.url(), own, soon());
  ASSERT_TRUE(connection.ok()) << connection.status().message();
  CounterRng rng(2);
  for (int i = 0; i < 20; ++i) {
    const uint64_t begin = rng.next_below(server.body->size());
    const uint64_t end = begin + 1 + rng.next_below(server.body->size() - begin);
    const auto head = connection->ask("/data", ByteRange{begin, end}, soon());
    ASSERT_TRUE(head.ok()) << head.status().message();
    ASSERT_EQ(head->status, 206);
    EXPECT_EQ(connection->read_all(1 << 30, soon()).value(),
              server.body->substr(begin, end - begin));
  }
  EXPECT_EQ(http_get(server.url(), own, 1 << 30, soon()).value(), *server.body);
  const auto refused = http_get(server.url(), {"wrong", own.tls}, 1 << 30, soon());
  EXPECT_THAT(refused.status().message(), HasSubstr("API key"));
}

TEST(Https, PostedBodiesArriveWholeWhateverTheirSize) {
  TestAuthority authority;
  Server server(authority.identity({"127.0.0.1"}));
  HttpClient client({}, OnStop::cancel, authority.folder({"poster"}));
  for (const size_t size :
       {size_t{1}, size_t{16383}, size_t{16384}, size_t{16385}, size_t{1} << 20}) {
    const std::string body(size, 'x');
    const auto reply = client.post(server.url("/echo"), body, soon(), "echo");
    ASSERT_TRUE(reply.ok()) << reply.status().message();
    EXPECT_EQ(reply->body, body) << size;
  }
}

// The client trusts any server here, so that the server alone decides.
bool gets_data(const Server& server, const std::string& certificate_folder) {
  const std::string certificate = certificate_folder + "/tls.crt";
  const bool has_one = !certificate_folder.empty();
  httplib::SSLClient client("127.0.0.1", server.server->port(), has_one ? certificate : "",
                            has_one ? certificate_folder + "/tls.key" : "");
  client.enable_server_certificate_verification(false);
  client.set_read_timeout(20);
  const auto reply = client.Get("/data");
  return reply && reply->body == *server.body;
}

TEST(Https, TheServerAnswersCertificatesOfItsAuthorityOnly) {
  TestAuthority authority, other;
  Server server(authority.identity({"127.0.0.1"}));
  EXPECT_TRUE(gets_data(server, authority.folder({"anything"})));
  EXPECT_FALSE(gets_data(server, ""));
  EXPECT_FALSE(gets_data(server, other.folder({"anything"})));
  EXPECT_FALSE(gets_data(server, authority.folder({"anything"}, expired())));
  httplib::Client plain("127.0.0.1", server.server->port());
  EXPECT_FALSE(plain.Get("/data"));
  EXPECT_TRUE(gets_data(server, authority.folder({"anything"})));
}

std::string refusal(const Server& server, const Credentials& own, const std::string& host) {
  const auto got = http_get(server.url("/data", host), own, 1 << 30, soon());
  EXPECT_EQ(got.status().code(), StatusCode::invalid_argument) << got.status().message();
  return got.status().message();
}

TEST(Https, TheClientSaysWhyItDoesNotAcceptTheServer) {
  TestAuthority authority, other;
  const Credentials own{"", authority.identity({"reader"})};
  Server named(authority.identity({"127.0.0.1"})), foreign(other.identity({"127.0.0.1"}));
  EXPECT_THAT(refusal(named, own, "localhost"),
              HasSubstr("the server's certificate is for 127.0.0.1, not for localhost"));
  EXPECT_THAT(
      refusal(foreign, own, "127.0.0.1"),
      HasSubstr("the server's certificate was not signed by the authority in " + own.tls->path()));
}

// What a client of the other authority would see whose own file has the right authority.
TEST(Https, TheClientIsToldThatItsCertificateIsNotAccepted) {
  TestAuthority authority, other;
  const std::string folder = other.folder({"reader"});
  const std::string trusted = authority.pem().certificate + other.pem().certificate;
  TestAuthority::write(folder + "/ca.crt", trusted);
  Server server(authority.identity({"127.0.0.1"}));
  EXPECT_THAT(refusal(server, {"", IdentityFolder::open(folder).value()}, "127.0.0.1"),
              HasSubstr("does not trust the authority that signed " + folder + "/tls.crt"));
}

// The server, a reader that connects anew and a client of services take part in the move from one
// authority to another one.
TEST(Https, RenewedCertificatesAreUsedByNewConnections) {
  TestAuthority before, after;
  const std::string of_server = before.folder({"127.0.0.1"}), of_reader = before.folder({"reader"});
  Server server(IdentityFolder::open(of_server).value());
  const Credentials reader{"", IdentityFolder::open(of_reader).value()};
  HttpClient client({}, OnStop::cancel, of_reader);
  auto held = HttpGet::connect(server.url(), reader, soon()).value();
  const auto reads = [&] { return http_get(server.url(), reader, 1 << 30, soon()).ok(); };
  const auto posts = [&] { return client.post(server.url("/echo"), "x", soon(), "echo").ok(); };
  EXPECT_TRUE(reads() && posts());
  TestAuthority::replace(of_server, after.folder({"127.0.0.1"}));
  EXPECT_FALSE(reads() || posts());
  TestAuthority::replace(of_reader, after.folder({"reader"}));
  EXPECT_TRUE(reads());
  EXPECT_TRUE(posts());
  EXPECT_TRUE(held.ask("/data", ByteRange{0, 1}, soon()).ok());  // since before the move
}

// The variable names a file with what the library would take for the system's authorities.
TEST(Https, AClientWithAFolderDoesNotTrustTheSystemsAuthorities) {
  TestAuthority authority, other;
  const std::string of_system = authority.folder({"127.0.0.1"});
  ::setenv("SSL_CERT_FILE", (of_system + "/ca.crt").c_str(), 1);
  Server server(authority.identity({"127.0.0.1"}));
  const std::string folder = other.folder({"poster"});
  TestAuthority::replace(folder + "/tls.crt", of_system + "/tls.crt");
  TestAuthority::replace(folder + "/tls.key", of_system + "/tls.key");
  HttpClient client({}, OnStop::cancel, folder);
  const auto reply = client.post(server.url("/echo"), "x", soon(), "echo");
  ::unsetenv("SSL_CERT_FILE");
  EXPECT_THAT(reply.status().message(), HasSubstr("is not accepted with the authority in"));
}

TEST(Https, AServerWithoutTlsIsNamed) {
  TestAuthority authority;
  Server server(nullptr);
  const auto got = http_get(server.url(), {"", authority.identity({"reader"})}, 1 << 30,
                            Deadline::after_seconds(1));
  EXPECT_FALSE(got.ok());
  EXPECT_THAT(got.status().message(), HasSubstr(server.url().server));
}

TEST(Https, TheClientOfServicesSaysWhyItDoesNotAcceptTheServer) {
  TestAuthority authority, other;
  Server server(authority.identity({"127.0.0.1"}));
  HttpClient stranger({}, OnStop::cancel, other.folder({"poster"}));
  const auto foreign = stranger.post(server.url("/echo"), "x", soon(), "echo");
  EXPECT_EQ(foreign.status().code(), StatusCode::invalid_argument);
  EXPECT_THAT(foreign.status().message(), HasSubstr("is not accepted with the authority in"));
  HttpClient client({}, OnStop::cancel, authority.folder({"poster"}));
  const auto named = client.post(server.url("/echo", "localhost"), "x", soon(), "echo");
  EXPECT_EQ(named.status().code(), StatusCode::invalid_argument);
  EXPECT_THAT(named.status().message(), HasSubstr("is for other hosts"));
}

}  // namespace
}  // namespace longshot::net
