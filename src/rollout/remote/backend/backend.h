#pragma once
// What a rollout worker says to a server of another engine, and what the answers mean. Everything
// here is pure: requests and answers are texts, and who sends them is server_engine.cc.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/engine_kind.h"
#include "rollout/sampling/sampler.h"

namespace longshot::rollout {

// A POST request with a JSON body.
struct ServerCall {
  std::string path, body;
};

// One sample to generate, or to continue: the tokens that the server gets as its prompt.
struct ServerQuery {
  std::vector<data::TokenId> tokens;
  SamplingOptions sampling;  // stop strings are not sent: the worker finds them itself
  int max_tokens = 1;        // most new tokens
  uint64_t seed = 0;         // below 2^63
  std::string id;            // a name for the server's log
};

// What one event of a streamed answer adds.
struct ServerTokens {
  std::vector<data::TokenId> tokens;
  std::vector<float> logprobs;  // [tokens.size()]
  std::string finish;           // why the server ended the sample; empty while it continues
};

// Which distribution a server's log-probabilities belong to.
struct LogprobMode {
  bool after_filters = false;  // top_p, top_k and min_p are applied, and the rest renormalised
};

class ServerProtocol {
 public:
  virtual ~ServerProtocol() = default;

  // A streamed generation.
  virtual ServerCall generate(const ServerQuery& query) const = 0;
  // Reads the data of one event; `have` tokens have come before it in this answer. Errors:
  // unavailable if the event says that the server has failed or given up; invalid_argument if it
  // refuses the request; corrupt if it is not an event of this server, or its numbers of tokens and
  // log-probabilities disagree.
  virtual Result<ServerTokens> read(const std::string& event, size_t have) const = 0;

  // The calls that make the server generate with the model directory `folder`, in this order, with
  // nothing left of earlier weights in its caches. `version` is a name for them.
  virtual std::vector<ServerCall> load(const std::string& folder,
                                       const std::string& version) const = 0;
  // What an answer with status 200 to such a call says. Error: nothing was loaded.
  virtual Status check_loaded(const std::string& body) const = 0;
  // How a server must be started for load() to work; ends the message of a failure.
  virtual std::string load_hint() const = 0;

  // Error: the log-probabilities that the server records would not be those of the distribution
  // that `sampling` draws from. The message says what to change.
  virtual Status check_sampling(const SamplingOptions& sampling, LogprobMode mode) const = 0;
};

std::unique_ptr<ServerProtocol> make_vllm_protocol();
std::unique_ptr<ServerProtocol> make_sglang_protocol();
// `kind` is not longshot.
std::unique_ptr<ServerProtocol> make_protocol(data::EngineKind kind);

}  // namespace longshot::rollout
