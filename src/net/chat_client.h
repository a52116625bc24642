#pragma once
// A client of OpenAI's API for chats (POST .../chat/completions) and plain prompts
// (.../completions), and of the servers that offer it: vLLM, SGLang, llama.cpp, Ollama,
// `longshot serve`.
// Source: https://platform.openai.com/docs/api-reference/chat; for `reasoning`
// https://docs.vllm.ai/en/latest/features/reasoning_outputs; for token ids
// https://github.com/vllm-project/vllm/pull/22587 and
// https://github.com/sgl-project/sglang/pull/30917.

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/spelling.h"
#include "data/types.h"
#include "net/choices.h"
#include "net/services.h"

namespace longshot::net {

enum class CompletionApi { chat, completions };

constexpr auto spellings(CompletionApi) {
  using enum CompletionApi;
  return std::to_array<Spelling<CompletionApi>>({{chat, "chat"}, {completions, "completions"}});
}

// What is not set is not sent, so that the server's default applies.
struct ChatQuery {
  std::vector<data::Message> messages = {};
  // A list that is sent instead, with all members of its messages, or null. The order of its keys
  // and of those of more_members is kept, because a chat template may print it.
  OrderedJson raw_messages = {};
  OrderedJson more_members = {};  // an object of further members of the request, or null
  // The prompt of a completion, used if there are no messages: token ids, or else a text.
  std::vector<data::TokenId> prompt_tokens = {};
  std::string prompt = {};
  std::string model = {};  // the server's name of it; empty: not sent
  int choices = 1;         // answers to this query
  int max_tokens = 0;      // of an answer; 0: not sent
  std::optional<double> temperature = {}, top_p = {};
  std::optional<int> top_k = {};     // not part of OpenAI's API
  std::optional<double> min_p = {};  // not part of OpenAI's API
  std::vector<std::string> stop = {};
  std::optional<uint64_t> seed = {};
  bool token_ids = false;  // asks for the ids of the answer's tokens and their log-probabilities
};

// The path of the requests below a base URL. A path that ends in /chat/completions is kept; no path
// means /v1/chat/completions; to any other, such as /v1 or /openai/v1, /chat/completions is added.
// A query ("?api-version=...") stays behind it.
std::string chat_path(const std::string& path);
// The same with /completions in place of /chat/completions.
std::string completions_path(const std::string& path);

// True if the error in `body` names the parameter as one that the server does not accept.
bool refuses_parameter(const std::string& body, const std::string& parameter);

// Thread-safe. A server may refuse parameters that a query could do without. These are then changed
// for this and all later queries: max_tokens becomes max_completion_tokens; seed and the request
// for token ids are left out, each with one warning.
class ChatClient {
 public:
  // `urls` have the path of the requests, chat_path() or completions_path(). At least one is
  // required.
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
  OrderedJson body_of(const ChatQuery& query) const;
  bool adapt(const HttpReply& reply, const ChatQuery& query, const std::string& who);

  Services services_;
  // What the server has refused.
  std::atomic<bool> max_tokens_refused_{false}, seed_refused_{false}, token_ids_refused_{false};
  std::atomic<bool> meta_info_refused_{false};
};

}  // namespace longshot::net
