#pragma once
// The life of a connection: the reception reads a request, a thread answers it with the HTTP
// library, and the connection returns to the reception.

#include <httplib.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "net/connection_threads.h"
#include "net/reception.h"
#include "net/tls/tls_identity.h"
#include "net/tls/transport.h"

namespace longshot::net {

class Listener {
 public:
  struct Handlers {
    // True if the head alone is a reason to refuse the request. Thread-safe; must not block.
    std::function<bool(const RequestHead& head)> refuses;
    // True if the answer to a request without a body may be large. Thread-safe; must not block.
    std::function<bool(const RequestHead& head)> is_large;
    // Answers a request. Called on any thread.
    std::function<void(const ReceivedRequest& request, const httplib::Request& parsed,
                       httplib::Response& response)>
        answer;
    // Called with the status when the HTTP library refuses a request (`request` contains the part
    // that was parsed) or when the reception has refused one (`request` is null). Returns the body
    // of the answer.
    std::function<std::string(const httplib::Request* request, int status)> failed;
  };

  // `threads`: number of requests with a body or a large answer that are answered at the same time.
  // Other requests are answered by the thread that accepts connections, so their handlers must be
  // quick. With `tls`, clients need a certificate of its authority.
  Listener(int threads, Handlers handlers, std::shared_ptr<const IdentityFolder> tls);
  ~Listener();  // finishes the answers that were begun

  // Returns the port, or -1 (see errno). Connections are accepted from then on.
  int start(const std::string& host, int port);

 private:
  // httplib's server without its own accept loop, reader and threads.
  class Library : public httplib::Server {
   public:
    using httplib::Server::process_request;
    int listening_socket() const { return svr_sock_; }
    void end_streams() { svr_sock_ = INVALID_SOCKET; }
  };

  Reception::Callbacks callbacks();
  bool take(ReceivedRequest& request);
  void answer(const ReceivedRequest& request, double patience);

  const std::unique_ptr<Transport> transport_;
  Library library_;
  const Handlers handlers_;
  std::atomic<bool> stopping_{false};
  ConnectionThreads workers_;
  Reception bodies_, reception_;
};

}  // namespace longshot::net
