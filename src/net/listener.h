#pragma once
// The way of a connection: the reception reads a request, a thread answers it with the HTTP
// library, and the connection goes back to the reception.

#include <httplib.h>

#include <atomic>
#include <functional>
#include <string>

#include "net/connection_threads.h"
#include "net/reception.h"

namespace longshot::net {

class Listener {
 public:
  struct Handlers {
    // Whether the head alone is refused. Thread-safe; must not wait.
    std::function<bool(const RequestHead& head)> refuses;
    // Answers a request. On any thread.
    std::function<void(const ReceivedRequest& request, const httplib::Request& parsed,
                       httplib::Response& response)>
        answer;
    // The status of what the HTTP library refuses (`request` is then as far as it was read), or of
    // what the reception did. Returns the body of the answer.
    std::function<std::string(const httplib::Request* request, int status)> failed;
  };

  // `threads`: requests with a body answered at the same time. Those without one are answered by the
  // thread that accepts connections, so their handlers must be quick.
  Listener(int threads, Handlers handlers);
  ~Listener();  // answers what was begun

  // The port, or -1 (errno says why). From then on connections are accepted.
  int start(const std::string& host, int port);

 private:
  // httplib's server without its own accepting, reading and threads.
  class Library : public httplib::Server {
   public:
    using httplib::Server::process_request;
    int listening_socket() const { return svr_sock_; }
    void end_streams() { svr_sock_ = INVALID_SOCKET; }
  };

  Reception::Callbacks callbacks();
  bool take(ReceivedRequest& request);
  void answer(const ReceivedRequest& request, double patience);

  Library library_;
  const Handlers handlers_;
  std::atomic<bool> stopping_{false};
  ConnectionThreads workers_;
  Reception bodies_, reception_;
};

}  // namespace longshot::net
