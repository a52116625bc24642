#include "net/http_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "base/os/stop.h"
#include "net/testing.h"

namespace longshot::net {
namespace {

// Answers one connection with these bytes, and leaves it open until it is destroyed.
class RawService {
 public:
  explicit RawService(std::string bytes) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_, 1), 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = {"http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), "/"};
    thread_ = std::thread([this, bytes = std::move(bytes)] {
      client_ = ::accept(fd_, nullptr, nullptr);
      (void)::send(client_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    });
  }
  ~RawService() {
    thread_.join();
    ::close(client_);
    ::close(fd_);
  }
  const Url& url() const { return url_; }

 private:
  int fd_ = -1;
  std::atomic<int> client_ = -1;
  Url url_;
  std::thread thread_;
};

constexpr const char* kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

Deadline soon() {
  return Deadline::after_seconds(5);
}

TEST(HttpClient, TrailersAfterTheBodyAreNoError) {
  RawService service(
      "HTTP/1.1 404 Not Found\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n"
      "4\r\ngone\r\n0\r\nX-End: 1\r\n\r\n");
  HttpClient client;
  const auto reply = client.post(service.url(), "{}", soon(), "test");
  ASSERT_TRUE(reply.ok()) << reply.status().to_string();
  EXPECT_EQ(reply->status, 404);
  EXPECT_EQ(reply->body, "gone");
}

TEST(HttpClient, AStreamArrivesInPieces) {
  RawService service(std::string(kChunked) + "3\r\none\r\n3\r\ntwo\r\n");
  HttpClient client;
  std::string seen;
  const StreamReader reader{[&](std::string_view bytes) {
                              seen += bytes;
                              return seen.size() < 6;
                            },
                            [] { return false; }};
  const auto reply = client.stream(service.url(), "{}", soon(), "test", reader);
  EXPECT_EQ(seen, "onetwo");
  EXPECT_EQ(reply.status().code(), StatusCode::cancelled);
}

TEST(HttpClient, AStreamEndsWhenItsReaderIsDone) {
  RawService service(std::string(kChunked) + "3\r\none\r\n");
  HttpClient client;
  std::atomic<bool> seen = false;
  const StreamReader reader{[&](std::string_view) { return seen = true; },
                            [&] { return seen.load(); }};
  const Stopwatch watch;
  const auto reply = client.stream(service.url(), "{}", soon(), "test", reader);
  EXPECT_EQ(reply.status().code(), StatusCode::cancelled);
  EXPECT_LT(watch.seconds(), 4);
}

TEST(HttpClient, ARefusalOfAStreamIsInTheReply) {
  FakeService service("/watch", {{.status = 503, .body = R"({"error":"no leader"})"}});
  HttpClient client;
  const StreamReader reader{[](std::string_view) { return true; }, [] { return false; }};
  const auto reply = client.stream({service.url(), "/watch"}, "{}", soon(), "test", reader);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->status, 503);
  EXPECT_EQ(reply->body, R"({"error":"no leader"})");
}

TEST(HttpClient, CallsForACleanStopIgnoreTheRequestToStop) {
  FakeService service("/x", {{.body = "{}"}});
  HttpClient usual, finishing({}, OnStop::finish);
  request_stop();
  const auto refused = usual.post({service.url(), "/x"}, "{}", soon(), "test");
  const auto reply = finishing.post({service.url(), "/x"}, "{}", soon(), "test");
  clear_stop_request();
  EXPECT_EQ(refused.status().code(), StatusCode::cancelled);
  EXPECT_TRUE(reply.ok());
}

}  // namespace
}  // namespace longshot::net
