#pragma once
// A peer that fails as it is told, for tests.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/bulk/byte_range.h"
#include "publish/engine/testing.h"
#include "publish/engine/weight_server.h"

namespace longshot::publish {

// What happens to one answer with data. Offsets count from the beginning of the answer's body.
struct Fault {
  static constexpr uint64_t kNever = UINT64_MAX;
  uint64_t cut = kNever;    // the connection ends there
  uint64_t stall = kNever;  // no further byte is sent from there, and the connection stays open
  uint64_t wrong = kNever;  // this byte is changed
  int64_t lie = 0;          // added to Content-Length
  bool whole = false;       // Range is ignored
  int status = 0;           // an error answer instead
};

class FakePeer {
 public:
  // `fault` gets the number of the request for data, from 0, and the range.
  using Plan = std::function<Fault(int request, const net::ByteRange& range)>;

  explicit FakePeer(const RandomVersion& version, Plan plan = nullptr, int readers = 0)
      : version_(version), plan_(std::move(plan)), readers_(readers) {
    door_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(door_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(door_, 64);
    socklen_t size = sizeof address;
    ::getsockname(door_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~FakePeer() {
    stopping_ = true;
    ::shutdown(door_, SHUT_RDWR);
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
    ::close(door_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<net::ByteRange> ranges() {  // of the requests for data
    std::lock_guard lock(mutex_);
    return ranges_;
  }

 private:
  void accept_all() {
    while (!stopping_) {
      const int socket = ::accept4(door_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket >= 0) threads_.emplace_back([this, socket] { talk(socket); });
    }
  }

  void talk(int socket) {
    const timeval tick{0, 20'000};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
    std::string text;
    char buffer[4096];
    bool open = true;
    while (open && !stopping_) {
      const ssize_t got = ::recv(socket, buffer, sizeof buffer, 0);
      if (got == 0) break;
      if (got < 0) continue;
      text.append(buffer, static_cast<size_t>(got));
      if (text.find("\r\n\r\n") == std::string::npos) continue;
      open = answer(socket, text);
      text.clear();
    }
    ::close(socket);
  }

  bool answer(int socket, const std::string& text) {
    const std::string path = text.substr(4, text.find(' ', 4) - 4);
    const std::string name = path.substr(path.rfind('/') + 1);
    if (name == "data") return send_data(socket, text);
    if (name == "pieces")
      return send_all(socket, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
    std::string body;
    if (name == version_.manifest.run) {
      body = to_json(ServerState{name, readers_, {{id_of(version_.manifest), 1, 1}}});
    } else if (name == "manifest") {
      body = to_json(version_.manifest);
    } else {
      body = version_.files.at(name);
    }
    return send_all(socket, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                                "\r\n\r\n" + body);
  }

  bool send_data(int socket, const std::string& text) {
    const size_t at = text.find("Range: ");
    const std::string value = text.substr(at + 7, text.find("\r\n", at) - at - 7);
    const net::ByteRange range = net::wanted_range(value, version_.data.size()).range;
    Fault fault;
    {
      std::lock_guard lock(mutex_);
      ranges_.push_back(range);
      if (plan_) fault = plan_(static_cast<int>(ranges_.size()) - 1, range);
    }
    if (fault.status != 0)
      return send_all(socket, "HTTP/1.1 " + std::to_string(fault.status) +
                                  " Error\r\nContent-Length: 2\r\n\r\nno");
    return send_range(socket, fault.whole ? net::ByteRange{0, version_.data.size()} : range, fault);
  }

  bool send_range(int socket, const net::ByteRange& range, const Fault& fault) {
    std::string body = version_.data.substr(range.begin, range.size());
    if (fault.wrong < body.size()) body[fault.wrong] ^= 1;
    const auto length = static_cast<int64_t>(body.size()) + fault.lie;
    const std::string head =
        "HTTP/1.1 " + std::string(fault.whole ? "200 OK" : "206 Partial Content") +
        "\r\nContent-Length: " + std::to_string(length) + "\r\nContent-Range: bytes " +
        std::to_string(range.begin) + "-" + std::to_string(range.end - 1) + "/" +
        std::to_string(version_.data.size()) + "\r\n\r\n";
    const uint64_t sent = std::min({fault.cut, fault.stall, uint64_t{body.size()}});
    if (!send_all(socket, head + body.substr(0, sent)) || fault.cut <= sent) return false;
    while (fault.stall <= sent && !stopping_)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return true;
  }

  bool send_all(int socket, std::string_view bytes) {
    while (!bytes.empty() && !stopping_) {
      const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return bytes.empty();
  }

  const RandomVersion& version_;
  const Plan plan_;
  const int readers_;
  int door_ = -1, port_ = 0;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<net::ByteRange> ranges_;
  std::vector<std::thread> threads_;  // used by acceptor_ until it has ended
  std::thread acceptor_;
};

}  // namespace longshot::publish
