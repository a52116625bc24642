#pragma once
// Chats as templates see them.

#include <string>
#include <vector>

#include "data/types.h"
#include "tokenizer/jinja/template.h"

namespace longshot::tokenizer {

struct ChatMessage : data::Message {
  // The whole message as a JSON object, its keys in order, where it holds more than a role and a
  // text (tool calls, a name, reasoning, content parts). Else empty.
  std::string json = {};
};
using Chat = std::vector<ChatMessage>;
Chat chat_of(const std::vector<data::Message>& messages);

// A message from its JSON: role, the text of its content (parts of type text joined, null as ""),
// and the whole where it holds more. Errors begin with `where`.
Result<ChatMessage> message_of(const OrderedJson& json, const std::string& where);

bool has_more_than_text(const ChatMessage& message);

// The list of messages as transformers gives it to a template: members that are null are left out,
// and reasoning stands under reasoning_content and thinking. `mark` is put behind the last text.
// The chat must outlive the value, which refers to its texts.
Result<jinja::Value> values_of(const Chat& chat, const std::string& mark);

Result<OrderedJson> parse_arguments(const std::string& arguments);
void set_variable(jinja::Variables& variables, const std::string& name, jinja::Value value);

}  // namespace longshot::tokenizer
