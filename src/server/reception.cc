#include "server/reception.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/check.h"
#include "server/errors.h"

namespace longshot::server {
namespace {

constexpr const char* kHeadEnd = "\r\n\r\n";
constexpr int kTickMilliseconds = 100;
constexpr int kWakeUp = -1;  // in the place of a socket

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int watch(int epoll, int watched, int name) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.fd = name;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, watched, &event);
}

}  // namespace

Reception::Reception(const ReceptionOptions& options, Ready ready)
    : options_(options),
      ready_(std::move(ready)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  LS_CHECK(epoll_ >= 0 && wake_ >= 0 && watch(epoll_, wake_, kWakeUp) == 0,
           "no file descriptors are left to serve with");
  thread_ = std::thread([this] { work(); });
}

void Reception::stop() {
  stopping_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
}

Reception::~Reception() {
  stop();
  for (const auto& [socket, guest] : new_) close(socket);
  while (!guests_.empty()) remove(guests_.begin()->first);
  close(epoll_);
  close(wake_);
}

void Reception::add(int socket, std::string bytes) {
  push(socket, {std::move(bytes), now(), false});
}

void Reception::close_later(int socket) {
  shutdown(socket, SHUT_WR);
  push(socket, {"", now(), true});
}

void Reception::push(int socket, Guest guest) {
  {
    std::lock_guard lock(mutex_);
    new_.emplace_back(socket, std::move(guest));
  }
  wake();
}

void Reception::wake() const {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
}

void Reception::work() {
  std::array<epoll_event, 256> events;
  double looked = now();
  while (!stopping_) {
    const int count = epoll_wait(epoll_, events.data(), events.size(), kTickMilliseconds);
    // New ones come last: a socket closed in this round may have given its number to one of them.
    for (int i = 0; i < count; ++i) read(events[static_cast<size_t>(i)].data.fd);
    welcome_new();
    if (now() - looked < kTickMilliseconds / 1000.0) continue;
    looked = now();
    close_overdue();
  }
}

void Reception::welcome_new() {
  std::vector<std::pair<int, Guest>> arrived;
  {
    std::lock_guard lock(mutex_);
    arrived.swap(new_);
  }
  for (auto& [socket, guest] : arrived) {
    make_room();
    fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
    guests_[socket] = std::move(guest);
    if (watch(epoll_, socket, socket) != 0) {
      remove(socket);
    } else {
      look_for_head(socket);
    }
  }
}

void Reception::make_room() {
  if (guests_.size() < options_.max_connections) return;
  const auto oldest =
      std::min_element(guests_.begin(), guests_.end(),
                       [](const auto& a, const auto& b) {
                         return a.second.since < b.second.since;
                       });
  remove(oldest->first);
}

void Reception::read(int socket) {
  if (socket == kWakeUp) {
    uint64_t count;
    [[maybe_unused]] const ssize_t got = ::read(wake_, &count, sizeof(count));
    return;
  }
  const auto found = guests_.find(socket);
  if (found == guests_.end()) return;
  std::array<char, 16384> buffer;
  const ssize_t got = recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (got <= 0) return remove(socket);
  Guest& guest = found->second;
  if (guest.leaving) return;
  if (guest.bytes.empty()) guest.since = now();
  guest.bytes.append(buffer.data(), static_cast<size_t>(got));
  look_for_head(socket);
}

void Reception::look_for_head(int socket) {
  Guest& guest = guests_.at(socket);
  if (guest.leaving || guest.bytes.empty()) return;
  const size_t end = guest.bytes.find(kHeadEnd);
  if (std::min(end, guest.bytes.size()) > options_.max_head) {
    return refuse(socket, 431,
                  fmt::format("the request's head is larger than {} bytes", options_.max_head));
  }
  if (end == std::string::npos) return;
  std::string bytes = std::move(guest.bytes);
  release(socket);
  ready_(socket, std::move(bytes));
}

void Reception::refuse(int socket, int status, const std::string& message) {
  const std::string body = error_json({status, message, "invalid_request_error", "", ""});
  const std::string answer = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n{}",
      status, status == 408 ? "Request Timeout" : "Request Header Fields Too Large", body.size(),
      body);
  [[maybe_unused]] const ssize_t sent =
      send(socket, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  shutdown(socket, SHUT_WR);
  guests_[socket] = {"", now(), true};
}

void Reception::release(int socket) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, nullptr);
  guests_.erase(socket);
}

void Reception::remove(int socket) {
  release(socket);
  close(socket);
}

void Reception::close_overdue() {
  const double time = now();
  std::vector<int> late, silent;
  for (const auto& [socket, guest] : guests_) {
    const double waited = time - guest.since;
    if (guest.leaving ? waited > options_.linger_seconds
                      : guest.bytes.empty() && waited > options_.idle_seconds) {
      silent.push_back(socket);
    } else if (!guest.bytes.empty() && waited > options_.head_seconds) {
      late.push_back(socket);
    }
  }
  for (const int socket : silent) remove(socket);
  for (const int socket : late) {
    refuse(socket, 408,
           fmt::format("the request's head did not arrive within {} seconds",
                       options_.head_seconds));
  }
}

}  // namespace longshot::server
