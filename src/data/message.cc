#include "data/message.h"

#include <array>

namespace longshot::data {
namespace {

struct PartName {
  PartKind kind;
  const char* name;
};
constexpr std::array<PartName, 1> kPartNames = {{{PartKind::text, "text"}}};

const char* name_of(PartKind kind) {
  for (const PartName& entry : kPartNames)
    if (entry.kind == kind) return entry.name;
  return "unknown";
}

Result<PartKind> parse_kind(const std::string& name, const std::string& where) {
  for (const PartName& entry : kPartNames)
    if (name == entry.name) return entry.kind;
  return invalid_argument(where + " is of type '" + name.substr(0, 40) +
                          "'; only parts of type 'text' are supported");
}

Result<ContentPart> part_from_json(const Json& json, const std::string& where) {
  const Json type = json.is_object() ? json.value("type", Json()) : Json();
  if (!type.is_string()) {
    return invalid_argument(where + " must be an object such as {\"type\": \"text\", \"text\": " +
                            "\"...\"}, not " + dump_json(json).substr(0, 80));
  }
  ContentPart part;
  LS_ASSIGN_OR_RETURN(part.kind, parse_kind(type.get<std::string>(), where));
  LS_ASSIGN_OR_RETURN(part.text, json_get<std::string>(json, "text", where));
  return part;
}

}  // namespace

std::string Content::text() const {
  if (const std::string* text = plain()) return *text;
  std::string joined;
  for (const ContentPart& part : std::get<std::vector<ContentPart>>(form_)) joined += part.text;
  return joined;
}

void Content::append(const std::string& text) {
  if (auto* whole = std::get_if<std::string>(&form_)) {
    *whole += text;
    return;
  }
  auto& parts = std::get<std::vector<ContentPart>>(form_);
  if (parts.empty()) parts.emplace_back();
  parts.back().text += text;
}

OrderedJson Content::to_json() const {
  if (const std::string* text = plain()) return *text;
  OrderedJson list = OrderedJson::array();
  for (const ContentPart& part : std::get<std::vector<ContentPart>>(form_)) {
    OrderedJson& item = list.emplace_back();
    item["type"] = name_of(part.kind);
    item["text"] = part.text;
  }
  return list;
}

OrderedJson to_json(const Message& message) {
  OrderedJson json;
  json["role"] = message.role;
  json["content"] = message.content.to_json();
  return json;
}

Result<Message> message_from_json(const Json& json, const std::string& where) {
  Message message;
  LS_ASSIGN_OR_RETURN(message.role, json_get<std::string>(json, "role", where));
  LS_ASSIGN_OR_RETURN(const Json content, json_get<Json>(json, "content", where));
  LS_ASSIGN_OR_RETURN(message.content, content_from_json(content, where));
  return message;
}

Result<Content> content_from_json(const Json& json, const std::string& where) {
  if (json.is_null()) return Content();
  if (json.is_string()) return Content(json.get<std::string>());
  if (!json.is_array())
    return invalid_argument(where + ": 'content' must be a string or a list of parts");
  std::vector<ContentPart> parts;
  for (const Json& item : json) {
    const std::string place =
        where + ": part " + std::to_string(parts.size() + 1) + " of 'content'";
    LS_ASSIGN_OR_RETURN(ContentPart part, part_from_json(item, place));
    parts.push_back(std::move(part));
  }
  return Content(std::move(parts));
}

}  // namespace longshot::data
