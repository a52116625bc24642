#pragma once
// gRPC's credentials and channel settings from LinkOptions. Only sources of wire/ include this.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "wire/link_options.h"

namespace longshot::wire {

// Jobs carry whole prompts and responses.
constexpr int kMaxMessageBytes = 256 << 20;
// A connection without an answer to a ping for this long has ended.
constexpr int kPingEveryMs = 2000, kPingTimeoutMs = 3000;

// The most time for one attempt to connect.
constexpr int kConnectMs = 1000;

// Metadata of a call: of the worker's request, and of the coordinator's answer to an admitted one.
constexpr const char* kTokenKey = "authorization";
constexpr const char* kProtocolKey = "longshot-protocol";
std::string token_value(const std::string& token);

// gRPC's own log lines repeat what statuses say; they are off unless GRPC_VERBOSITY is set.
void quiet_grpc();

// Both use what the folder with the certificates contains when a connection begins. Those of a
// server must live as long as it.
std::shared_ptr<grpc::ServerCredentials> server_credentials(const LinkOptions& options);
std::shared_ptr<grpc::ChannelCredentials> client_credentials(const LinkOptions& options);

}  // namespace longshot::wire
