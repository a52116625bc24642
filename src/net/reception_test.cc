#include "net/reception.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <memory>

#include "base/os/clock.h"

namespace longshot::net {
namespace {

// The client's end of a connection.
class Client {
 public:
  explicit Client(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    const timeval limit{20, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // True if all bytes were accepted.
  bool send(const std::string& text) const {
    for (size_t at = 0; at < text.size();) {
      const ssize_t sent = ::send(socket_, text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      at += static_cast<size_t>(sent);
    }
    return true;
  }
  // Returns the bytes that arrive next; empty at the end of the connection.
  std::string receive() const {
    char buffer[4096];
    const ssize_t got = recv(socket_, buffer, sizeof(buffer), 0);
    return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : "";
  }

 private:
  const int socket_;
};

// A reception that wants the bodies of POST requests and stores the requests that are ready.
class Desk {
 public:
  explicit Desk(const ReceptionOptions& options = {})
      : bodies_(options, callbacks(), *transport_),
        reception_(options, callbacks(), *transport_, &bodies_) {
    const int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(door, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(door, 64), 0);
    socklen_t size = sizeof(address);
    getsockname(door, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    bodies_.start();
    reception_.start(door);
  }
  ~Desk() {
    reception_.stop();
    bodies_.stop();
    for (const ReceivedRequest& request : requests_) close(request.socket);
  }

  // Returns the next request that is ready.
  ReceivedRequest next() {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, std::chrono::seconds(20), [this] { return !requests_.empty(); });
    if (requests_.empty()) return {};
    ReceivedRequest request = std::move(requests_.front());
    requests_.erase(requests_.begin());
    return request;
  }
  // Returns the connection to the reception.
  void give_back(ReceivedRequest request) {
    reception_.forget_body(request.body.size());
    reception_.add(request.socket, request.rest);
  }
  void end(const ReceivedRequest& request) { reception_.close_later(request.socket); }
  void be_full() { full_ = true; }

  int port = 0;
  std::atomic<int> refused_{0};

 private:
  Reception::Callbacks callbacks() {
    return {.wants_body = [](const RequestHead& head) { return head.method == "POST"; },
            .ready = [this](ReceivedRequest& request) { return take(request); },
            .refused = [this](int status) { refused_ = status; }};
  }

  bool take(ReceivedRequest& request) {
    if (full_) return false;
    std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
    arrived_.notify_all();
    return true;
  }

  std::atomic<bool> full_{false};
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<ReceivedRequest> requests_;
  const std::unique_ptr<Transport> transport_ = make_transport(nullptr);
  Reception bodies_, reception_;
};

const std::string kGet = "GET / HTTP/1.1\r\n\r\n";

std::string post(size_t length) {
  return "POST / HTTP/1.1\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

TEST(Reception, HandsOverWholeRequests) {
  Desk desk;
  const Client client(desk.port);
  for (const char c : post(3)) client.send(std::string(1, c));
  client.send("ab");
  client.send("c" + kGet);
  ReceivedRequest first = desk.next();
  EXPECT_EQ(first.body.view(), "abc");
  EXPECT_TRUE(first.body_read);
  desk.give_back(std::move(first));
  ReceivedRequest second = desk.next();
  EXPECT_EQ(second.head.method + second.rest, "GET");
  client.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
  desk.give_back(std::move(second));
  client.send("1\r\nc\r\n0\r\n\r\n");
  ReceivedRequest third = desk.next();
  EXPECT_EQ(third.body.view(), "abc");
  desk.end(third);
  EXPECT_EQ(client.receive(), "");
}

TEST(Reception, ABodyThatIsNotWantedIsNotReadAndOneThatIsExpectedIsAskedFor) {
  Desk desk;
  const Client unwanted(desk.port), polite(desk.port);
  unwanted.send("PUT / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n");
  const ReceivedRequest request = desk.next();
  EXPECT_FALSE(request.body_read);
  close(request.socket);
  polite.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
  EXPECT_EQ(polite.receive(), "HTTP/1.1 100 Continue\r\n\r\n");
  polite.send("x");
  const ReceivedRequest wanted = desk.next();
  EXPECT_EQ(wanted.body.view(), "x");
  close(wanted.socket);
}

TEST(Reception, SlowHeadsAndBodiesEnd) {
  Desk desk({.head_seconds = 0.3, .body_seconds = 0.3});
  const Client head(desk.port), body(desk.port);
  head.send("GET / HT");
  body.send(post(10) + "x");
  EXPECT_TRUE(head.receive().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_TRUE(body.receive().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_EQ(head.receive() + body.receive(), "");
  EXPECT_EQ(desk.refused_, 408);
}

TEST(Reception, IdleConnectionsEndAndSoDoThoseThatDoNotLeave) {
  Desk desk({.idle_seconds = 0.3, .linger_seconds = 0.3});
  const Client idle(desk.port), staying(desk.port);
  staying.send("nonsense\r\n\r\n");
  EXPECT_TRUE(staying.receive().starts_with("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_EQ(idle.receive() + staying.receive(), "");
  const Deadline deadline = Deadline::after_seconds(20);
  while (staying.send("x") && !deadline.expired())
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(deadline.expired()) << "its socket was closed";
}

TEST(Reception, TheConnectionThatHasWaitedLongestMakesRoom) {
  Desk desk({.max_connections = 2});
  const Client first(desk.port);
  first.send("GE");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const Client second(desk.port), third(desk.port);
  EXPECT_EQ(first.receive(), "");
  third.send(kGet);
  const ReceivedRequest request = desk.next();
  EXPECT_EQ(request.head.path, "/");
  close(request.socket);
}

TEST(Reception, LargeHeadsAndBodiesAreRefused) {
  Desk desk({.max_head = 1000, .max_body = 10});
  const Client head(desk.port), length(desk.port), chunks(desk.port);
  head.send("GET / HTTP/1.1\r\nX: " + std::string(2000, 'x'));
  EXPECT_TRUE(head.receive().starts_with("HTTP/1.1 431 "));
  length.send(post(11));
  EXPECT_TRUE(length.receive().starts_with("HTTP/1.1 413 "));
  chunks.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + std::string(11, 'x'));
  EXPECT_TRUE(chunks.receive().starts_with("HTTP/1.1 413 "));
}

TEST(Reception, BodiesTogetherAreLimitedAndTheLargestGivesWay) {
  Desk desk({.max_arriving = 100'000});
  const Client small(desk.port), large(desk.port);
  small.send(post(30'000) + std::string(29'999, 's'));
  large.send(post(90'000) + std::string(89'999, 'l'));
  EXPECT_TRUE(large.receive().starts_with("HTTP/1.1 503 "));
  small.send("s");
  const ReceivedRequest request = desk.next();
  EXPECT_EQ(request.body.size(), 30'000U);
  close(request.socket);
}

TEST(Reception, BodiesThatAreBeingAnsweredAreLimitedToo) {
  Desk desk({.max_answered = 100'000});
  const Client first(desk.port), second(desk.port), third(desk.port);
  first.send(post(60'000) + std::string(60'000, 'x'));
  ReceivedRequest answered = desk.next();
  second.send(post(60'000) + std::string(60'000, 'x'));
  EXPECT_TRUE(second.receive().starts_with("HTTP/1.1 503 "));
  desk.give_back(std::move(answered));
  third.send(post(60'000) + std::string(60'000, 'x'));
  const ReceivedRequest last = desk.next();
  EXPECT_EQ(last.body.size(), 60'000U);
  close(last.socket);
}

TEST(Reception, ARequestWithoutRoomIsTurnedAway) {
  Desk desk;
  desk.be_full();
  const Client client(desk.port);
  client.send(kGet);
  EXPECT_TRUE(client.receive().starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_EQ(client.receive(), "");
}

}  // namespace
}  // namespace longshot::net
