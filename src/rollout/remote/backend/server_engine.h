#pragma once
// Servers of another engine as the engine of a rollout worker: each job is a streamed request,
// which sends token ids and gets token ids with their log-probabilities. When a sample ends is
// decided here, by the rules of the run, so all engines cut samples alike.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "rollout/remote/backend/backend.h"
#include "rollout/remote/worker_engine.h"
#include "tokenizer/tokenizer.h"

namespace longshot::rollout {

// Weights that servers can load.
struct ServedModel {
  std::string folder;  // a model directory, at a path that the servers see
  std::string version;
  int vocab_size = 0;
  const tokenizer::Tokenizer* tokenizer = nullptr;  // borrowed until the next load()
  // The log-probabilities of `tokens` after `prompt` at temperature 1, by longshot from the same
  // files. Null: the servers' answers are not compared with them.
  std::function<Result<std::vector<float>>(const std::vector<data::TokenId>& prompt,
                                           const std::vector<data::TokenId>& tokens)>
      score = nullptr;
};

struct ServerEngineOptions {
  data::EngineKind kind = data::EngineKind::vllm;  // not longshot
  std::vector<net::Url> urls;                      // at least one; their paths are ignored
  std::string key;                                 // sent as a bearer token; empty: not sent
  double silence_seconds = 300;                    // the longest time without a token of a sample
  double load_seconds = 1800;                      // for one server to load weights
  double most_gap = 0.1;                           // see WeightsCheck
  // Makes the weights of a version available; the arguments are those of WorkerEngine::load().
  std::function<Result<ServedModel>(const Json& settings, int64_t version, const Json& source)>
      fetch;
};

// Ok if one of the servers answers. Error: unavailable, with what is wrong with the last one.
Status check_reachable(const ServerEngineOptions& options);

// A request that a server answers with an error that may pass (5xx, 429), or whose answer
// contradicts itself, is repeated after the tokens that have arrived. What follows if a server
// keeps failing:
//   it is gone, silent, or its connection breaks: unavailable, because a server that has been
//     started again has other weights; load() then loads them again;
//   it refuses a request (4xx): the job is refused;
//   its answers make no sense, or it has other weights than it was told to load: internal or
//     invalid_argument.
// Messages name the server.
std::unique_ptr<WorkerEngine> make_server_engine(ServerEngineOptions options);

}  // namespace longshot::rollout
