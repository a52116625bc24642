#pragma once
// What both ends of a connection agree on.

#include <cstdint>
#include <string>

namespace longshot::wire {

// Version of the messages. A worker of another one is refused.
constexpr int kProtocol = 1;

// PEM files; all empty: the connection is not encrypted.
struct TlsFiles {
  std::string ca;                // who signed the other end's certificate; needed by the worker
  std::string certificate, key;  // needed by the coordinator
};

struct LinkOptions {
  std::string token;  // shared secret; empty: none is needed
  TlsFiles tls;
};

}  // namespace longshot::wire
