#pragma once
// A client of OpenAI's chat API (POST .../chat/completions) and of the servers that offer it: vLLM,
// SGLang, llama.cpp, Ollama, `longshot serve`.
// Source: https://platform.openai.com/docs/api-reference/chat; for `reasoning`
// https://docs.vllm.ai/en/latest/features/reasoning_outputs.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/types.h"
#include "net/services.h"

namespace longshot::net {

// What is not set is not sent, so that the server's default applies.
struct ChatQuery {
  std::vector<data::Message> messages;
  std::string model;   // the server's name of it; empty: not sent
  int choices = 1;     // answers to this query
  int max_tokens = 0;  // of an answer; 0: not sent
  std::optional<double> temperature, top_p;
  std::vector<std::string> stop;
  std::optional<uint64_t> seed;
};

struct ChatChoice {
  std::string content;    // empty if the answer has no text
  std::string reasoning;  // of servers that separate it from the text
  std::string refusal;
  std::string finish_reason;  // "stop", "length", ...; empty if the server names none

  // Why the text is missing or incomplete, for messages: "the reasoning used up max_tokens". Empty
  // for a whole text.
  std::string defect() const;
};

// The path of the requests below a base URL. A path that ends in /chat/completions is kept; no path
// means /v1/chat/completions; to any other, such as /v1 or /openai/v1, /chat/completions is added.
// A query ("?api-version=...") stays behind it.
std::string chat_path(const std::string& path);

// Thread-safe.
class ChatClient {
 public:
  // `urls` have the path of the requests, chat_path(). At least one is required.
  ChatClient(std::vector<Url> urls, std::map<std::string, std::string> headers, std::string who,
             Retries retries = {})
      : services_(std::move(urls), std::move(headers), std::move(who), retries) {}

  // Returns at least one choice. Their number may differ from query.choices, because some servers
  // give only one. Errors:
  //   timeout, unavailable, cancelled (by stop_requested()): those of Services::send();
  //   invalid_argument: no query can succeed (a wrong address, key or model, an account that is
  //     used up);
  //   corrupt: this query is refused (status 400, 413, 422), for example because it is too long, or
  //     the reply is not a chat completion.
  Result<std::vector<ChatChoice>> ask(const ChatQuery& query, Deadline deadline);

 private:
  Services services_;
};

}  // namespace longshot::net
