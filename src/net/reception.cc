#include "net/reception.h"

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
#include <new>

#include "base/check.h"
#include "net/errors.h"

namespace longshot::net {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr int kTickMilliseconds = 100;
constexpr int kMaxAccepted = 256;  // at most in a row, before other sockets are read again

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int watch(int epoll, int socket) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.fd = socket;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
}

ApiError refusal(int status, std::string message) {
  return {status, std::move(message), "invalid_request_error", "", ""};
}

const char* reason(int status) {
  switch (status) {
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Bad Request";
  }
}

ApiError too_large(size_t limit) {
  return refusal(413, fmt::format("the request's body is larger than {} bytes", limit));
}

}  // namespace

Reception::Reception(const ReceptionOptions& options, Callbacks callbacks, Transport& transport,
                     Reception* bodies)
    : options_(options),
      callbacks_(std::move(callbacks)),
      transport_(transport),
      bodies_(bodies),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  LS_CHECK(epoll_ >= 0 && wake_ >= 0 && watch(epoll_, wake_) == 0,
           "no file descriptors are left to serve with");
}

void Reception::start(int door) {
  door_ = door;
  if (door_ >= 0) {
    fcntl(door_, F_SETFL, fcntl(door_, F_GETFL) | O_NONBLOCK);
    LS_CHECK(watch(epoll_, door_) == 0, "the listening socket cannot be watched");
  }
  thread_ = std::thread([this] { work(); });
}

void Reception::stop() {
  stopping_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
  if (door_ >= 0) close(door_);
  door_ = -1;
}

Reception::~Reception() {
  stop();
  for (const auto& [socket, guest] : new_) transport_.close(socket);
  while (!guests_.empty()) remove(guests_.begin()->first);
  close(epoll_);
  close(wake_);
}

void Reception::add(int socket, std::string rest) {
  push(socket, {.bytes = std::move(rest), .since = now()});
}

void Reception::close_later(int socket) {
  if (bodies_ != nullptr) return bodies_->close_later(socket);
  transport_.end(socket);
  push(socket, {.since = now(), .leaving = true});
}

void Reception::push(int socket, Guest guest) {
  {
    std::lock_guard lock(mutex_);
    new_.emplace_back(socket, std::move(guest));
  }
  wake();
}

void Reception::send_at_once(int socket, std::string_view text) {
  [[maybe_unused]] const ssize_t sent = transport_.send(socket, text.data(), text.size());
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
    bool knocked = false;
    for (int i = 0; i < count; ++i) {
      const int socket = events[static_cast<size_t>(i)].data.fd;
      if (socket == door_) {
        knocked = true;
      } else {
        read(socket);
      }
    }
    // New sockets come last: one of them may have the number of a socket that was closed in this
    // round.
    if (knocked) accept_new();
    welcome_new();
    if (now() - looked < kTickMilliseconds / 1000.0) continue;
    looked = now();
    close_overdue();
  }
}

void Reception::accept_new() {
  for (int i = 0; i < kMaxAccepted; ++i) {
    const int socket = accept4(door_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      welcome(socket, {.since = now()});
      continue;
    }
    if (errno == EMFILE || errno == ENFILE) return remove_oldest();
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
  }
}

void Reception::welcome_new() {
  std::vector<std::pair<int, Guest>> arrived;
  {
    std::lock_guard lock(mutex_);
    arrived.swap(new_);
  }
  for (auto& [socket, guest] : arrived) welcome(socket, std::move(guest));
}

void Reception::welcome(int socket, Guest guest) {
  if (guests_.size() >= options_.max_connections) remove_oldest();
  guests_[socket] = std::move(guest);
  if (watch(epoll_, socket) != 0) {
    remove(socket);
  } else {
    look_at(socket);
  }
}

void Reception::remove_oldest() {
  const auto oldest = std::min_element(
      guests_.begin(), guests_.end(),
      [](const auto& a, const auto& b) { return a.second.since < b.second.since; });
  if (oldest != guests_.end()) remove(oldest->first);
}

void Reception::read(int socket) {
  if (socket == wake_) {
    uint64_t count;
    [[maybe_unused]] const ssize_t got = ::read(wake_, &count, sizeof(count));
    return;
  }
  const auto found = guests_.find(socket);
  if (found == guests_.end()) return;
  std::array<char, 16384> buffer;
  Guest& guest = found->second;
  // Bytes that are dropped need not be understood.
  const ssize_t got = guest.leaving ? recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT)
                                    : transport_.receive(socket, buffer.data(), buffer.size());
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (got < 0 && errno == EPROTO) {  // the client should be able to read why
    release(socket);
    return close_later(socket);
  }
  if (got <= 0) return remove(socket);
  if (guest.leaving) return;
  if (guest.bytes.empty() && !guest.head) guest.since = now();
  guest.bytes.append(buffer.data(), static_cast<size_t>(got));
  look_at(socket);
}

void Reception::look_at(int socket) {
  try {
    advance(socket);
  } catch (const std::bad_alloc&) {
    if (guests_.contains(socket)) remove(socket);
  }
}

// Processes the connection's next request as far as its bytes have arrived.
void Reception::advance(int socket) {
  Guest& guest = guests_.at(socket);
  if (guest.leaving || (guest.bytes.empty() && !guest.head)) return;
  if (!guest.head) {
    const auto problem = take_head(socket, guest);
    if (problem) return refuse(socket, *problem);
    if (!guest.head) return;
    if (!callbacks_.wants_body(*guest.head)) return hand_over(socket, !guest.head->has_body());
    guest.since = now();
    if (guest.head->expects_continue && guest.bytes.empty())
      send_at_once(socket, "HTTP/1.1 100 Continue\r\n\r\n");
  }
  bool complete = false;
  const auto problem = take_body(guest, complete);
  if (problem) return refuse(socket, *problem);
  if (complete) return hand_over(socket, true);
  if (bodies_ != nullptr) {
    Guest moved = std::move(guest);
    release(socket);
    return bodies_->push(socket, std::move(moved));
  }
  count_body(guest);
  refuse_largest();
}

// Sets guest.head once the whole head has arrived.
std::optional<ApiError> Reception::take_head(int socket, Guest& guest) {
  if (guest.bytes.starts_with("\r\n")) {  // some clients send a line end after a body
    guest.bytes.erase(0, 2);
    guest.searched = 0;
  }
  const size_t from = guest.searched < kHeadEnd.size() ? 0 : guest.searched - kHeadEnd.size();
  const size_t end = guest.bytes.find(kHeadEnd, from);
  guest.searched = guest.bytes.size();
  if (std::min(end, guest.bytes.size()) > options_.max_head) {
    return refusal(431,
                   fmt::format("the request's head is larger than {} bytes", options_.max_head));
  }
  if (end == std::string::npos) return std::nullopt;
  RequestHead head;
  const auto problem =
      read_head(std::string_view(guest.bytes).substr(0, end + kHeadEnd.size()), head);
  if (problem) return problem;
  guest.bytes.erase(0, end + kHeadEnd.size());
  guest.head = std::move(head);
  return std::nullopt;
}

std::optional<ApiError> Reception::take_body(Guest& guest, bool& complete) {
  if (!guest.head->chunked) {
    if (guest.head->length > options_.max_body) return too_large(options_.max_body);
    const size_t count = std::min(guest.head->length - guest.body.size(), guest.bytes.size());
    guest.body.append(std::string_view(guest.bytes).substr(0, count));
    guest.bytes.erase(0, count);
    complete = guest.body.size() == guest.head->length;
    return std::nullopt;
  }
  const Chunks::State state = guest.chunks.take(guest.bytes, guest.body);
  complete = state == Chunks::State::complete;
  if (state == Chunks::State::wrong) return refusal(400, "the request's chunks cannot be read");
  if (guest.body.size() > options_.max_body) return too_large(options_.max_body);
  return std::nullopt;
}

void Reception::hand_over(int socket, bool body_read) {
  Guest& guest = guests_.at(socket);
  ReceivedRequest request{.socket = socket, .body_read = body_read};
  request.head = std::move(*guest.head);
  request.body = std::move(guest.body);
  request.rest = std::move(guest.bytes);
  const size_t size = request.body.size();
  bytes_answered() += size;
  release(socket);  // first, because the thread that answers may return the socket at once
  if (bytes_answered() <= options_.max_answered && callbacks_.ready(request)) return;
  forget_body(size);
  turn_away(socket);
}

void Reception::turn_away(int socket) {
  guests_[socket] = {};
  refuse(socket, {503, "too many requests are waiting; try again later", "server_error", "",
                  "unavailable"});
}

// Bodies that are still arriving share a limit; the largest is refused when it is exceeded.
void Reception::count_body(Guest& guest) {
  bytes_arriving_ -= guest.held;
  guest.held = guest.body.size();
  bytes_arriving_ += guest.held;
}

void Reception::refuse_largest() {
  while (bytes_arriving_ > options_.max_arriving) {
    const auto largest = std::max_element(
        guests_.begin(), guests_.end(),
        [](const auto& a, const auto& b) { return a.second.held < b.second.held; });
    refuse(largest->first, {503, "too many large requests arrive at once; try again later",
                            "server_error", "", "unavailable"});
  }
}

void Reception::refuse(int socket, const ApiError& error) {
  const std::string body = error_json(error);
  send_at_once(socket, fmt::format("HTTP/1.1 {} {}\r\nContent-Type: application/json\r\n"
                                   "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
                                   error.status, reason(error.status), body.size(), body));
  release(socket);
  close_later(socket);
  callbacks_.refused(error.status);
}

void Reception::release(int socket) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, nullptr);
  const auto guest = guests_.find(socket);
  bytes_arriving_ -= guest->second.held;
  guests_.erase(guest);
}

void Reception::remove(int socket) {
  release(socket);
  transport_.close(socket);
}

void Reception::close_overdue() {
  const double time = now();
  std::vector<int> silent;
  std::vector<std::pair<int, const char*>> late;
  for (const auto& [socket, guest] : guests_) {
    const double waited = time - guest.since;
    if (guest.leaving) {
      if (waited > options_.linger_seconds) silent.push_back(socket);
    } else if (guest.head) {
      if (waited > options_.body_seconds + static_cast<double>(guest.held) / options_.body_rate)
        late.emplace_back(socket, "body");
    } else if (!guest.bytes.empty()) {
      if (waited > options_.head_seconds) late.emplace_back(socket, "head");
    } else if (waited > options_.idle_seconds) {
      silent.push_back(socket);
    }
  }
  for (const int socket : silent) remove(socket);
  for (const auto& [socket, what] : late)
    refuse(socket, refusal(408, fmt::format("the request's {} did not arrive in time", what)));
}

}  // namespace longshot::net
