#pragma once
// Where connections are accepted and wait: for their next request, or to be closed. One thread
// watches all of them and reads heads and bodies, so that clients which are slow, idle or hostile
// hold none of the threads that answer requests. A second reception can take over those whose
// bodies take time, so that the first is quick whatever they send.

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "net/byte_buffer.h"
#include "net/chunks.h"
#include "net/request_head.h"

namespace longshot::net {

struct ReceptionOptions {
  double head_seconds = 10;  // from a head's first byte to its last
  double body_seconds = 20;  // for a body, and one second more for each body_rate bytes of it
  double body_rate = 256 << 10;
  double idle_seconds = 75;    // without a request
  double linger_seconds = 10;  // for a client to read an answer and close
  size_t max_head = 64 << 10;  // bytes
  size_t max_body = 64 << 20;
  size_t max_arriving = 256 << 20;  // of all bodies that are not complete
  size_t max_answered = 1 << 30;    // of all bodies of requests that are being answered
  // Connections that wait. One more closes the one that has waited longest.
  size_t max_connections = 4096;
};

struct ReceivedRequest {
  int socket = -1;
  RequestHead head = {};
  ByteBuffer body = {};
  std::string rest = {};  // read from the socket after the body
  bool body_read = true;  // false: it follows in the connection, or may
};

// Owns the sockets that wait; they do not block. Thread-safe.
class Reception {
 public:
  struct Callbacks {
    // Whether the head is sound and the body is wanted. If not, the request is ready without it.
    std::function<bool(const RequestHead& head)> wants_body;
    // Takes over the socket and the request; false if there is no room for it. Like wants_body on
    // the reception's thread, so it must not wait.
    std::function<bool(ReceivedRequest& request)> ready;
    // A request was answered here with this status: it was too slow, too large or unsound.
    std::function<void(int status)> refused;
  };

  // `bodies` gets connections whose body was not there with the head, and those that are to be
  // closed; without it they stay. It must live longer.
  Reception(const ReceptionOptions& options, Callbacks callbacks, Reception* bodies = nullptr);
  ~Reception();               // closes what waits
  void start(int door = -1);  // a listening socket, which it owns: accepts on it from now on
  void stop();                // no connection is accepted and no request taken any more

  // Waits for the next request. `rest` was read from the socket before.
  void add(int socket, std::string rest = "");
  // Closes the socket when the client has closed its end, or soon; what still arrives is dropped.
  // Closing at once could take away an answer that the client has not read.
  void close_later(int socket);
  // To be called when a request has been answered.
  void forget_body(size_t bytes) { bytes_answered() -= bytes; }

 private:
  struct Guest {
    std::string bytes = {};
    size_t searched = 0;  // of them, for the end of a head
    double since = 0;     // when it came, or its head or body began
    bool leaving = false;
    std::optional<RequestHead> head = {};  // while the body arrives
    Chunks chunks = {};
    ByteBuffer body = {};
    size_t held = 0;  // bytes of the body that bytes_arriving_ counts
  };

  void work();
  void accept_new();
  void remove_oldest();
  void welcome_new();
  void welcome(int socket, Guest guest);
  void read(int socket);
  void look_at(int socket);
  void advance(int socket);
  std::optional<ApiError> take_head(int socket, Guest& guest);
  std::optional<ApiError> take_body(Guest& guest, bool& complete);
  void hand_over(int socket, bool body_read);
  void turn_away(int socket);
  void refuse(int socket, const ApiError& error);
  void release(int socket);  // forgets it and leaves it open
  void remove(int socket);   // and closes it
  void close_overdue();
  void count_body(Guest& guest);
  void refuse_largest();
  void push(int socket, Guest guest);
  void wake() const;
  std::atomic<size_t>& bytes_answered() {
    return bodies_ != nullptr ? bodies_->bytes_answered_ : bytes_answered_;
  }

  const ReceptionOptions options_;
  const Callbacks callbacks_;
  Reception* const bodies_;
  std::unordered_map<int, Guest> guests_;  // by socket; of the thread
  size_t bytes_arriving_ = 0;              // of the guests' bodies
  std::atomic<size_t> bytes_answered_{0};  // of bodies handed over
  int epoll_ = -1, wake_ = -1, door_ = -1;
  std::mutex mutex_;
  std::vector<std::pair<int, Guest>> new_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace longshot::net
