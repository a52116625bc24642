#pragma once
// Accepts connections and keeps them while they wait for their next request or to be closed. One
// thread watches all of them and reads heads and bodies, so clients that are slow, idle or hostile
// do not occupy the threads that answer requests. A second reception can take over connections
// whose bodies take time, which keeps the first one quick.

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "net/byte_buffer.h"
#include "net/chunks.h"
#include "net/request_head.h"
#include "net/tls/transport.h"

namespace longshot::net {

struct ReceptionOptions {
  double head_seconds = 10;  // from the first byte of a head to its last
  double body_seconds = 20;  // for a body, plus one second for each body_rate bytes of it
  double body_rate = 256 << 10;
  double idle_seconds = 75;    // without a request
  double linger_seconds = 10;  // for a client to read its answer and close
  size_t max_head = 64 << 10;  // bytes
  size_t max_body = 64 << 20;
  size_t max_arriving = 256 << 20;  // all incomplete bodies together
  size_t max_answered = 1 << 30;    // all bodies of requests being answered, together
  // Waiting connections. When there are more, the one that has waited longest is closed.
  size_t max_connections = 4096;
};

struct ReceivedRequest {
  int socket = -1;
  RequestHead head = {};
  ByteBuffer body = {};
  std::string rest = {};  // read from the socket after the body
  bool body_read = true;  // false: the body follows in the connection, if there is one
};

// Owns the waiting sockets, which are non-blocking. Thread-safe.
class Reception {
 public:
  struct Callbacks {
    // True if the head is valid and the body is wanted. Otherwise the request is handed over
    // without its body.
    std::function<bool(const RequestHead& head)> wants_body;
    // Takes over the socket and the request; false if there is no room for it. Like wants_body, it
    // runs on the reception's thread and must not block.
    std::function<bool(ReceivedRequest& request)> ready;
    // Called after a request was answered here with this status because it was too slow, too large
    // or malformed.
    std::function<void(int status)> refused;
  };

  // `bodies` receives connections whose body did not arrive together with the head, and those that
  // are to be closed. Without it, they remain here. It and `transport` must outlive this reception.
  Reception(const ReceptionOptions& options, Callbacks callbacks, Transport& transport,
            Reception* bodies = nullptr);
  ~Reception();               // closes the waiting connections
  void start(int door = -1);  // accepts connections on this listening socket, which it owns
  void stop();                // stops accepting connections and handing over requests

  // Waits for the next request. `rest` was already read from the socket.
  void add(int socket, std::string rest = "");
  // Closes the socket once the client has closed its end, or after linger_seconds; bytes that still
  // arrive are dropped. Closing at once could discard an answer that the client has not read.
  void close_later(int socket);
  // Must be called when a request has been answered.
  void forget_body(size_t bytes) { bytes_answered() -= bytes; }

 private:
  struct Guest {
    std::string bytes = {};
    size_t searched = 0;  // bytes already searched for the end of a head
    double since = 0;     // when it arrived, or when its head or body began
    bool leaving = false;
    std::optional<RequestHead> head = {};  // while the body arrives
    Chunks chunks = {};
    ByteBuffer body = {};
    size_t held = 0;  // bytes of the body included in bytes_arriving_
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
  void release(int socket);  // forgets the socket but leaves it open
  void remove(int socket);   // forgets and closes the socket
  void close_overdue();
  void count_body(Guest& guest);
  void refuse_largest();
  void push(int socket, Guest guest);
  void wake() const;
  void send_at_once(int socket, std::string_view text);
  std::atomic<size_t>& bytes_answered() {
    return bodies_ != nullptr ? bodies_->bytes_answered_ : bytes_answered_;
  }

  const ReceptionOptions options_;
  const Callbacks callbacks_;
  Transport& transport_;
  Reception* const bodies_;
  std::unordered_map<int, Guest> guests_;  // by socket; used by thread_ only
  size_t bytes_arriving_ = 0;              // of the guests' bodies
  std::atomic<size_t> bytes_answered_{0};  // of bodies handed over
  int epoll_ = -1, wake_ = -1, door_ = -1;
  std::mutex mutex_;
  std::vector<std::pair<int, Guest>> new_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace longshot::net
