#pragma once
// Where connections wait: for their next request's head, or to be closed. One thread watches all of
// them, so that clients which are slow, idle or hostile hold none of those that answer requests.

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace longshot::server {

struct ReceptionOptions {
  double head_seconds = 10;    // from a head's first byte to its last
  double idle_seconds = 75;    // without a request
  double linger_seconds = 10;  // for a client to read an answer and close
  size_t max_head = 64 << 10;  // bytes
  // Connections that wait. One more closes the one that has waited longest.
  size_t max_connections = 4096;
};

// Owns the sockets that wait; makes them non-blocking. Thread-safe.
class Reception {
 public:
  // Takes over a socket with all bytes that were read from it, a whole head at least. Called on the
  // reception's thread, so it must not wait.
  using Ready = std::function<void(int socket, std::string bytes)>;

  Reception(const ReceptionOptions& options, Ready ready);
  ~Reception();  // closes what waits
  void stop();   // no request is taken any more

  // Waits for a request. `bytes` were read from the socket before.
  void add(int socket, std::string bytes = "");
  // Closes the socket when the client has closed its end, or soon; what still arrives is dropped.
  // Closing at once could take away an answer that the client has not read.
  void close_later(int socket);

 private:
  struct Guest {
    std::string bytes;
    double since = 0;  // when it came, or its head began
    bool leaving = false;
  };

  void work();
  void welcome_new();
  void read(int socket);
  void look_for_head(int socket);
  void refuse(int socket, int status, const std::string& message);
  void release(int socket);  // forgets it and leaves it open
  void remove(int socket);   // and closes it
  void close_overdue();
  void make_room();
  void push(int socket, Guest guest);
  void wake() const;

  const ReceptionOptions options_;
  const Ready ready_;
  std::unordered_map<int, Guest> guests_;  // by socket; of the thread
  int epoll_ = -1, wake_ = -1;
  std::mutex mutex_;
  std::vector<std::pair<int, Guest>> new_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace longshot::server
