#pragma once
// Samples of a server with OpenAI's API (net/chat_client.h), or of several replicas of it.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "curate/samples/sample_source.h"
#include "net/chat_client.h"

namespace longshot::curate {

struct ServerSourceOptions {
  std::vector<std::string> urls;  // replicas; net::chat_path() or completions_path() completes them
  net::CompletionApi api = net::CompletionApi::chat;
  std::string model = {};    // the server's name for it; empty: not sent
  std::string api_key = {};  // sent as a bearer token; empty: not sent
  int max_tokens = 0;
  std::optional<double> temperature = {}, top_p = {}, min_p = {};  // nullopt: the server's default
  std::optional<int> top_k = {};
  std::vector<std::string> stop = {};
  uint64_t seed =
      0;  // each request gets a seed of its own that is made of (seed, prompt id, index)
  bool token_ids = false;
  double timeout_seconds = 600;  // limit of one request
  int retries = 4;               // if every replica is full, gone or too slow
  double pause_seconds = 1;      // before the first retry; doubled with each one
  int concurrency = 16;          // requests at a time
};

// With CompletionApi::completions a prompt must have tokens or a text; with chat, messages or a
// text. Each sample is a request of its own, because not every server gives several at once.
// Error: a url is malformed.
Result<std::unique_ptr<SampleSource>> make_server_source(const ServerSourceOptions& options);

// The response in an answer. Reasoning that the server separates is put before the text between
// <think> and </think>. Status corrupt if there is no whole response: a refusal, a filter, an
// unknown or missing finish reason, no text.
Response response_of(const net::ChatChoice& choice);

}  // namespace longshot::curate
