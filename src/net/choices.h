#pragma once
// The answers in the reply of a server with OpenAI's API, in the forms of the servers that
// net/chat_client.h names.

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "data/types.h"

namespace longshot::net {

struct ChatChoice {
  std::string content;    // empty if the answer has no text
  std::string reasoning;  // of servers that separate it from the text
  std::string refusal;
  std::string finish_reason;  // "stop", "length", ...; empty if the server names none

  // The tokens that the server has generated, with the special token that ended them if the server
  // gives it; empty if it does not tell. `logprobs` may be empty too, or belong to token_ids.
  std::vector<data::TokenId> token_ids;
  std::vector<float> logprobs;
  int64_t tokens = 0;  // their number; 0: the server does not tell

  // Why the text is missing or incomplete, for messages: "the reasoning used up max_tokens". Empty
  // for a whole text.
  std::string defect() const;
};

// Reads the body of a chat completion or of a completion. Returns at least one choice. Error:
// corrupt if it is neither; the message begins with `who`.
Result<std::vector<ChatChoice>> read_choices(const std::string& body, const std::string& who);

}  // namespace longshot::net
