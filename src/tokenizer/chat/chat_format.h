#pragma once
// One renderer for each built-in family of chat templates.

#include <string>
#include <vector>

#include "base/status.h"

namespace longshot::tokenizer {

// These formats know only texts.
struct TextMessage {
  std::string role;  // system, user, assistant
  std::string content;
};

struct ChatRequest {
  const std::vector<TextMessage>& messages;
  bool add_generation_prompt;
  const std::string& default_system;
  std::string bos, eos;
};

struct ChatFormat {
  const char* family;
  Result<std::string> (*render)(const ChatRequest& request);
};

// Null for an unknown family.
const ChatFormat* find_chat_format(const std::string& family);

}  // namespace longshot::tokenizer
