#pragma once
// One request's bytes, from a connection to the HTTP library and back, with limits on how slow a
// client may be.

#include <httplib.h>

#include <string>

#include "base/clock.h"

namespace longshot::server {

// The socket is borrowed and non-blocking. Used by one thread.
class RequestStream : public httplib::Stream {
 public:
  // `bytes` were read from the socket before.
  RequestStream(int socket, std::string bytes) : socket_(socket), bytes_(std::move(bytes)) {}

  bool is_readable() const override;
  bool is_writable() const override;
  // A body may take 20 seconds, and one more for each 256 KiB that arrived; later reads fail. So do
  // those beyond 65 MiB: the library limits bodies that name their length, but not chunked ones.
  ssize_t read(char* to, size_t size) override;
  // All bytes, or an error if the client takes none of them for 30 seconds.
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

  std::string rest() const { return bytes_.substr(taken_); }  // read and not used

 private:
  bool fill();

  const int socket_;
  std::string bytes_;
  size_t taken_ = 0;
  size_t received_ = 0;
  Stopwatch since_;
};

}  // namespace longshot::server
