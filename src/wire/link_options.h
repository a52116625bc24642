#pragma once
// What both ends of a connection agree on.

#include "net/tls/tls_identity.h"

namespace longshot::wire {

// Version of the messages. A worker of another one is refused.
constexpr int kProtocol = 2;

// The same on both ends: with a certificate, each must have one of the same authority.
using LinkOptions = net::Credentials;

}  // namespace longshot::wire
