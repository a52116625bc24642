#pragma once
// The client's end of a connection, watched while its answer is computed: HTTP libraries notice that a client is gone
// when they write to it, which for an answer that is not streamed is too late.

namespace longshot::net {

// Borrows the descriptor of a socket. Value type.
class Connection {
 public:
  Connection() = default;  // of nobody: never gone
  explicit Connection(int fd) : fd_(fd) {}

  // True if the client has closed its end or the connection broke.
  bool gone() const;

 private:
  int fd_ = -1;
};

}  // namespace longshot::net
