#include "prompts/schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace longshot::prompts {
namespace {

std::string column_list(const Json& row) {
  std::vector<std::string> names;
  for (const auto& item : row.items()) names.push_back(item.key());
  return fmt::format("{}", fmt::join(names, ", "));
}

// The column that many data sets have in place of 'prompt'.
std::string prompt_hint(const Json& row) {
  for (const char* column : {"question", "problem", "query", "instruction", "input"}) {
    if (!has(row, column)) continue;
    return fmt::format("; if '{0}' is the prompt, set data.prompt_key={0} (eval: --prompt-key {0})",
                       column);
  }
  return "";
}

Result<std::string> parse_content(const Json& content, const std::string& where) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) {
    return invalid_argument(where + ": 'content' must be a string or a list of text parts");
  }
  std::string text;
  for (const Json& part : content) {
    if (!part.is_object() || part.value("type", Json()) != Json("text") || !part.contains("text") ||
        !part["text"].is_string()) {
      return invalid_argument(where + ": 'content' holds a part that is not text; " +
                              "only text can be trained on");
    }
    text += part["text"].get<std::string>();
  }
  return text;
}

}  // namespace

bool has(const Json& row, const std::string& column) {
  const auto it = row.find(column);
  return it != row.end() && !it->is_null();
}

const char* schema_name(Schema schema) {
  switch (schema) {
    case Schema::verl:
      return "verl";
    case Schema::prompt:
      return "prompt";
    case Schema::prompt_completion:
      return "prompt+completion";
    case Schema::messages:
      return "messages";
    case Schema::preference:
      return "prompt+chosen+rejected";
    case Schema::text:
      return "text";
  }
  return "unknown";
}

Result<Schema> detect_schema(const Row& row, const std::string& prompt_column) {
  const Json& json = row.json;
  if (has(json, "chosen") && has(json, "rejected")) return Schema::preference;
  const bool prompt = has(json, prompt_column);
  if (prompt && has(json, "completion")) return Schema::prompt_completion;
  if (prompt) {
    const bool verl =
        has(json, "reward_model") || has(json, "data_source") || has(json, "extra_info");
    return verl ? Schema::verl : Schema::prompt;
  }
  if (has(json, "messages")) return Schema::messages;
  if (has(json, "text")) return Schema::text;
  return invalid_argument(
      fmt::format("{}: no known row form: columns are [{}]; expected '{}' (with data_source and "
                  "reward_model, or with completion), 'messages', 'prompt' with 'chosen' and "
                  "'rejected', or 'text'{}",
                  row.where, column_list(json), prompt_column, prompt_hint(json)));
}

Result<std::vector<data::Message>> parse_messages(const Json& list, const std::string& where) {
  if (!list.is_array() || list.empty()) {
    return invalid_argument(where + ": a chat must be a list of messages that is not empty");
  }
  std::vector<data::Message> messages;
  for (const Json& item : list) {
    const std::string place = fmt::format("{}: message {}", where, messages.size() + 1);
    data::Message message;
    LS_ASSIGN_OR_RETURN(message.role, json_get<std::string>(item, "role", place));
    if (!item.contains("content")) return invalid_argument(place + ": key 'content' is missing");
    LS_ASSIGN_OR_RETURN(message.content, parse_content(item["content"], place));
    if (has(item, "tool_calls")) {
      return invalid_argument(place + ": tool calls are not supported; remove 'tool_calls'");
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

Result<std::string> text_of(const Json& value, const std::string& where) {
  if (value.is_null()) return invalid_argument(where + " is null");
  if (value.is_string()) return value.get<std::string>();
  return dump_json(value);
}

}  // namespace longshot::prompts
