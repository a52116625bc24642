#pragma once
// Chats as values for templates.

#include <string>
#include <vector>

#include "data/types.h"
#include "tokenizer/jinja/template.h"

namespace longshot::tokenizer {

struct ChatMessage : data::Message {
  // The whole message as a JSON object with its keys in order, if it has more than a role and a
  // text (tool calls, a name, reasoning, content parts). Otherwise empty. A template sees this and
  // not `content`, because parts may have further members.
  std::string json = {};
};
using Chat = std::vector<ChatMessage>;
Chat chat_of(const std::vector<data::Message>& messages);

// Reads a message from its JSON: the role, the content (null as ""), and the whole message if it
// has more than a role and a text. Members that are null are left out, also of parts: in a parquet
// file every part has the members of all. Errors begin with `where`.
Result<ChatMessage> message_of(const OrderedJson& json, const std::string& where);

bool has_more_than_text(const ChatMessage& message);

// The list of messages as transformers passes it to a template: content that is a list remains one,
// and reasoning is in both reasoning_content and thinking. `mark` is appended to the last text. The
// chat must outlive the value, which refers to its texts.
Result<jinja::Value> values_of(const Chat& chat, const std::string& mark);

Result<OrderedJson> parse_arguments(const std::string& arguments);
void set_variable(jinja::Variables& variables, const std::string& name, jinja::Value value);

}  // namespace longshot::tokenizer
