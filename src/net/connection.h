#pragma once
// The client's end of a connection, watched while its answer is computed. An HTTP library notices
// that a client has disconnected only when it writes to it, which is too late for an answer that is
// not streamed.

namespace longshot::net {

// Borrows the descriptor of a socket. Value type.
class Connection {
 public:
  Connection() = default;  // without a client: never gone
  explicit Connection(int fd) : fd_(fd) {}

  // True if the client has closed its end or the connection is broken.
  bool gone() const;

 private:
  int fd_ = -1;
};

}  // namespace longshot::net
