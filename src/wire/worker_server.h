#pragma once
// The coordinator's end: accepts workers, each over one stream of messages.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "wire/link_options.h"
#include "wire/messages.h"

namespace longshot::wire {

using LinkId = uint64_t;  // never used twice

// Called on threads of the server. The calls of one link never overlap: opened, received for each
// message, then closed. They must be quick and may call send() and close().
struct LinkEvents {
  std::function<void(LinkId link, const std::string& peer)> opened;
  std::function<void(LinkId link, FromWorker message)> received;
  std::function<void(LinkId link)> closed;
};

// Thread-safe.
class WorkerServer {
 public:
  // `listen` is HOST:PORT; port 0 takes any free one. Error: the address cannot be bound.
  static Result<std::unique_ptr<WorkerServer>> start(const std::string& listen,
                                                     const LinkOptions& options, LinkEvents events);
  // Closes all links; no event is called afterwards.
  ~WorkerServer();

  int port() const;
  // Queues a message. Without effect if the link is closed.
  void send(LinkId link, ToWorker message);
  // Ends a link after the messages that are queued. The worker sees the reason, as an error of the
  // same code if that is invalid_argument (it should not come back) and else as unavailable.
  void close(LinkId link, const Status& reason);

 private:
  class Impl;
  explicit WorkerServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshot::wire
