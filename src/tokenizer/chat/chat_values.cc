#include "tokenizer/chat/chat_values.h"

#include <array>

namespace longshot::tokenizer {
namespace {

constexpr std::array<const char*, 3> kReasoning = {"reasoning_content", "thinking", "reasoning"};

// The object without its members that are null.
OrderedJson without_nulls(const OrderedJson& object) {
  OrderedJson out = OrderedJson::object();
  for (const auto& item : object.items())
    if (!item.value().is_null()) out[item.key()] = item.value();
  return out;
}

// If a message has reasoning under any of its names, writes it to both reasoning_content and
// thinking.
void alias_reasoning(OrderedJson& message) {
  for (const char* name : kReasoning) {
    if (!message.contains(name)) continue;
    const OrderedJson reasoning = message[name];
    if (!message.contains("thinking")) {
      OrderedJson first = OrderedJson::object();
      first["thinking"] = reasoning;
      for (const auto& item : message.items()) first[item.key()] = item.value();
      message = std::move(first);
    }
    message["reasoning_content"] = reasoning;
    return;
  }
}

Status append_mark(OrderedJson& message, const std::string& mark) {
  OrderedJson* text = message.contains("content") ? &message["content"] : nullptr;
  if (text != nullptr && text->is_array() && !text->empty() && text->back().contains("text"))
    text = &text->back()["text"];
  if (text == nullptr || !text->is_string())
    return invalid_argument("the final message has no text to continue");
  *text = text->get<std::string>() + mark;
  return ok_status();
}

// The values of the usual roles are made only once.
jinja::Value role_of(const data::Message& message) {
  static const auto made = [](const char* name) {
    return jinja::Frozen(jinja::Value::string(name));
  };
  static const std::array<jinja::Frozen, 4> usual = {made("user"), made("assistant"),
                                                     made("system"), made("tool")};
  for (const jinja::Frozen& role : usual)
    if (role.value().text() == message.role) return role.value();
  return jinja::Value::borrowed(&message.role);
}

jinja::Value plain_message(const data::Message& message, const std::string& text,
                           const std::string& mark) {
  static const jinja::Frozen kRole(jinja::Value::string("role"));
  static const jinja::Frozen kContent(jinja::Value::string("content"));
  std::vector<std::pair<jinja::Value, jinja::Value>> items;
  items.reserve(2);
  items.emplace_back(kRole.value(), role_of(message));
  items.emplace_back(kContent.value(), mark.empty() ? jinja::Value::borrowed(&text)
                                                    : jinja::Value::string(text + mark));
  return jinja::Value::dict(std::move(items));
}

}  // namespace

Chat chat_of(const std::vector<data::Message>& messages) {
  Chat chat;
  for (const data::Message& message : messages) chat.push_back({message});
  return chat;
}

Result<ChatMessage> message_of(const OrderedJson& json, const std::string& where) {
  if (!json.is_object()) return invalid_argument(where + ": a message must be a JSON object");
  if (!json.contains("role")) return invalid_argument(where + ": key 'role' is missing");
  if (!json["role"].is_string())
    return invalid_argument(where + ": key 'role' has the wrong type (" + json["role"].type_name() +
                            ")");
  const bool calls = json.contains("tool_calls") && !json["tool_calls"].is_null();
  if (!json.contains("content") && !calls)
    return invalid_argument(where + ": key 'content' is missing");
  ChatMessage message;
  message.role = json["role"].get<std::string>();
  OrderedJson given = without_nulls(json);
  const Json content(given.value("content", OrderedJson()));
  LS_ASSIGN_OR_RETURN(message.content, data::content_from_json(content, where));
  if (given.size() == 2 && content.is_string()) return message;
  if (content.is_array())
    for (OrderedJson& part : given["content"]) part = without_nulls(part);
  message.json = dump_json(given);
  return message;
}

bool has_more_than_text(const ChatMessage& message) {
  if (message.json.empty()) return false;
  const auto json = parse_ordered_json(message.json, "a message");
  for (const char* key : {"tool_calls", "reasoning_content", "thinking", "reasoning"})
    if (json.ok() && json->contains(key)) return true;
  return false;
}

Result<jinja::Value> values_of(const Chat& messages, const std::string& mark) {
  static const std::string kNone;
  jinja::Values out;
  out.reserve(messages.size());
  for (size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    const std::string& end = i + 1 == messages.size() ? mark : kNone;
    const std::string* text = message.content.plain();
    if (message.json.empty() && text != nullptr) {
      out.push_back(plain_message(message, *text, end));
      continue;
    }
    OrderedJson json = data::to_json(message);
    if (!message.json.empty()) {
      LS_ASSIGN_OR_RETURN(json, parse_ordered_json(message.json, "a message"));
    }
    if (!json.is_object()) return invalid_argument("a message is not a JSON object");
    alias_reasoning(json);
    if (!end.empty()) LS_RETURN_IF_ERROR(append_mark(json, end));
    out.push_back(jinja::value_of(json));
  }
  return jinja::Value::list(std::move(out));
}

Result<OrderedJson> parse_arguments(const std::string& arguments) {
  if (arguments.empty()) return OrderedJson::object();
  LS_ASSIGN_OR_RETURN(OrderedJson json, parse_ordered_json(arguments, "the template arguments"));
  if (!json.is_object()) return invalid_argument("the template arguments must be a JSON object");
  return json;
}

void set_variable(jinja::Variables& variables, const std::string& name, jinja::Value value) {
  for (auto& [present, old] : variables) {
    if (present != name) continue;
    old = std::move(value);
    return;
  }
  variables.emplace_back(name, std::move(value));
}

}  // namespace longshot::tokenizer
