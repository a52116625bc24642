#pragma once
// A worker's end: dials the coordinator and exchanges messages with it.

#include <memory>
#include <optional>
#include <string>

#include "base/os/clock.h"
#include "base/status.h"
#include "wire/link_options.h"
#include "wire/messages.h"

namespace longshot::wire {

// send() and receive() may be called on different threads.
class WorkerLink {
 public:
  // Returns at once; whether the coordinator answers is seen by receive(). `address` is HOST:PORT.
  // Error: a file of `options.tls` cannot be read.
  static Result<std::unique_ptr<WorkerLink>> dial(const std::string& address,
                                                  const LinkOptions& options);
  ~WorkerLink();

  // The next message, or nullopt if none arrives before `deadline`. Errors: invalid_argument if the
  // coordinator refuses the token; unavailable, with the cause, if there is no connection or it has
  // ended; corrupt.
  Result<std::optional<ToWorker>> receive(Deadline deadline);
  // Queues a message. Without effect if the connection has ended, which receive() reports.
  void send(FromWorker message);
  // Whether the connection has ended; thread-safe. receive() says why after the last message.
  bool ended() const;
  // Messages that are queued and not handed to the network.
  int waiting() const;

 private:
  class Impl;
  explicit WorkerLink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshot::wire
