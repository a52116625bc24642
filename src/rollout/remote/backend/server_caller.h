#pragma once
// Sends the requests of a ServerProtocol.

#include <functional>
#include <map>
#include <string>

#include "net/http_client.h"
#include "rollout/remote/backend/backend.h"

namespace longshot::rollout {

// Thread-safe. Messages begin with the kind of the server and its address.
class ServerCaller {
 public:
  // `protocol` is borrowed. `key`: sent as a bearer token unless empty; `silence_seconds`: the
  // longest time without a token.
  ServerCaller(const ServerProtocol& protocol, std::string name, const std::string& key,
               double silence_seconds)
      : protocol_(protocol),
        name_(std::move(name)),
        silence_seconds_(silence_seconds),
        client_(headers_of(key)) {}

  // Streams a generation. Ok once `take` has returned true, which ends the request. Errors:
  // cancelled if `dropped` returned true, or by stop_requested(); exhausted for an error of the
  // server that may pass (5xx, 408, 429); invalid_argument if it refuses the request (other 4xx);
  // unavailable if it cannot be reached, is silent, or its connection breaks; corrupt if its answer
  // makes no sense, or ends before the sample.
  Status generate(const net::Url& server, const ServerQuery& query,
                  const std::function<bool()>& dropped,
                  const std::function<bool(const ServerTokens&)>& take);

  // All tokens of a query without a rule that ends it early. Errors: those above, and corrupt if
  // their number is not query.max_tokens.
  Result<ServerTokens> generate_all(const net::Url& server, const ServerQuery& query);

  // Has the server load a model directory. Errors: unavailable or timeout if it cannot be reached
  // or fails; invalid_argument, with what the server needs, if it refuses.
  Status load(const net::Url& server, const std::string& folder, const std::string& version,
              Deadline deadline);

 private:
  static std::map<std::string, std::string> headers_of(const std::string& key) {
    if (key.empty()) return {};
    return {{"Authorization", "Bearer " + key}};
  }
  std::string who(const net::Url& server) const { return name_ + " at " + server.server; }
  Status call(const net::Url& server, const ServerCall& call, Deadline deadline);

  const ServerProtocol& protocol_;
  const std::string name_;
  const double silence_seconds_;
  net::HttpClient client_;
};

}  // namespace longshot::rollout
