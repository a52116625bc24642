#pragma once
// Passes a request's head to the HTTP library and the bytes of the answer to the socket.

#include <httplib.h>

#include <cstdint>
#include <string>

#include "base/os/clock.h"
#include "net/tls/transport.h"

namespace longshot::net {

// The transport and its socket are borrowed. For use by one thread.
class RequestStream : public httplib::Stream {
 public:
  // `patience`: seconds that all writes together may wait for the client, plus one for each 16 KiB.
  // 0: no write waits. A client that accepts nothing for a minute is given up in any case.
  RequestStream(Transport& transport, int socket, std::string head, double patience)
      : transport_(transport), socket_(socket), head_(std::move(head)), patience_(patience) {}

  bool is_readable() const override { return taken_ < head_.size(); }
  bool is_writable() const override { return true; }  // write() waits
  ssize_t read(char* to, size_t size) override;       // an error at the end of the head
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  bool wait_for_room();

  Transport& transport_;
  const int socket_;
  const std::string head_;
  const double patience_;
  size_t taken_ = 0;
  uint64_t offered_ = 0;  // bytes given to write()
  double waited_ = 0;     // seconds
};

}  // namespace longshot::net
