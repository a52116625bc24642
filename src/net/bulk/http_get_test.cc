#include "net/bulk/http_get.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/rng.h"
#include "net/http_server.h"

namespace longshot::net {
namespace {

using testing::HasSubstr;

Deadline soon() {
  return Deadline::after_seconds(10);
}

// A server of one body of 3 MiB at /data, and its bytes.
struct BulkServer {
  explicit BulkServer(const std::string& key = "") {
    CounterRng rng(1);
    auto made = std::make_shared<std::string>(3 << 20, '\0');
    for (char& c : *made) c = static_cast<char>(rng.next_u64());
    body = made;
    const Handler data = [this](const Call& call) {
      return range_reply(*body, body, call.range, "application/octet-stream");
    };
    const Handler health = [](const Call&) { return Reply{.body = "{}"}; };
    auto started =
        HttpServer::start({.port = 0, .api_key = key, .access_log = false},
                          {{"GET", "/data", data, true}, {"GET", "/v1/healthz", health}}, requests);
    server = std::move(started).value();
  }
  Url url(const std::string& path = "/data") const {
    return {"http://127.0.0.1:" + std::to_string(server->port()), path};
  }

  RequestMetrics requests;
  std::shared_ptr<const std::string> body;
  std::unique_ptr<HttpServer> server;
};

TEST(HttpGet, WholeBodiesAndRangesArriveOnOneConnection) {
  BulkServer server;
  auto connection = HttpGet::connect(server.url(), {}, soon());
  ASSERT_TRUE(connection.ok()) << connection.status().to_string();
  auto head = connection->ask("/data", std::nullopt, soon());
  ASSERT_TRUE(head.ok()) << head.status().to_string();
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(connection->read_all(1 << 30, soon()).value(), *server.body);
  CounterRng rng(2);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(connection->reusable());
    const uint64_t begin = rng.next_below(server.body->size());
    const uint64_t end = begin + 1 + rng.next_below(server.body->size() - begin);
    head = connection->ask("/data", ByteRange{begin, end}, soon());
    ASSERT_TRUE(head.ok()) << head.status().to_string();
    EXPECT_EQ(head->status, 206);
    ASSERT_TRUE(head->range);
    EXPECT_EQ(head->range->range, (ByteRange{begin, end}));
    EXPECT_EQ(head->range->total, server.body->size());
    EXPECT_EQ(connection->read_all(1 << 30, soon()).value(),
              server.body->substr(begin, end - begin));
  }
}

TEST(HttpGet, OtherStatusesAreErrorsThatNameTheServer) {
  BulkServer server("secret");
  const auto refused = http_get(server.url(), {}, 1 << 30, soon());
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.status().message(), HasSubstr(server.url().server));
  EXPECT_THAT(refused.status().message(), HasSubstr("401"));
  EXPECT_TRUE(http_get(server.url("/v1/healthz"), {}, 100, soon()).ok());
  EXPECT_EQ(http_get(server.url(), {"secret"}, 1 << 30, soon()).value(), *server.body);
  const auto absent = http_get(server.url("/v1/absent"), {"secret"}, 100, soon());
  EXPECT_EQ(absent.status().code(), StatusCode::not_found) << absent.status().to_string();
  const auto long_body = http_get(server.url(), {"secret"}, 100, soon());
  EXPECT_EQ(long_body.status().code(), StatusCode::corrupt);
}

TEST(HttpGet, AServerThatSaysNothingMeetsTheDeadline) {
  const int door = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(door, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(door, 1), 0);
  socklen_t size = sizeof address;
  getsockname(door, reinterpret_cast<sockaddr*>(&address), &size);
  const Url url{"http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), "/"};
  const auto silent = http_get(url, {}, 100, Deadline::after_seconds(0.1));
  EXPECT_EQ(silent.status().code(), StatusCode::timeout);
  EXPECT_THAT(silent.status().message(), HasSubstr(url.server));
  auto connection = HttpGet::connect(url, {}, soon());
  ASSERT_TRUE(connection.ok());
  int looks = 0;
  connection->wait_while([&] { return ++looks < 3; });
  const auto unwanted = connection->ask("/", std::nullopt, soon());
  EXPECT_EQ(unwanted.status().code(), StatusCode::unavailable);
  EXPECT_THAT(unwanted.status().message(), HasSubstr("not wanted"));
  EXPECT_EQ(looks, 3);
  close(door);
  const auto gone = http_get(url, {}, 100, soon());
  EXPECT_EQ(gone.status().code(), StatusCode::unavailable);
}

TEST(HttpGet, HeadsOfOtherServersAreReadOrRefused) {
  const auto head = read_get_head(
      "HTTP/1.0 206 Partial Content\r\nCONTENT-LENGTH: 5\r\nContent-Range: bytes 5-9/10\r\n\r\n");
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->length, 5u);
  EXPECT_FALSE(head->keep);
  EXPECT_EQ(head->range->total, 10u);
  for (const char* wrong :
       {"", "HTTP/2 200\r\n\r\n", "HTTP/1.1 abc OK\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"})
    EXPECT_EQ(read_get_head(wrong).status().code(), StatusCode::corrupt) << wrong;
}

}  // namespace
}  // namespace longshot::net
