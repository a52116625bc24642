#pragma once
// Failures as clients see them: OpenAI's error object and its HTTP status.

#include <string>

#include "base/status.h"
#include "net/reply.h"

namespace longshot::net {

struct ApiError {
  int status = 400;
  std::string message;
  std::string type = "invalid_request_error";
  std::string param = {};  // empty: null in the object
  std::string code = {};   // empty: null in the object
};

// exhausted -> 429, timeout -> 504, cancelled and unavailable -> 503, internal -> 500, the others
// -> 400.
ApiError error_of(const Status& status);

// {"error": {"message", "type", "param", "code"}} on one line.
std::string error_json(const ApiError& error);
Reply error_reply(const ApiError& error);
// The reply to a client that has disconnected. It is never read, but its status appears in the
// metrics.
Reply client_gone_reply();

}  // namespace longshot::net
