#include "datasets/schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tokenizer/chat/chat_values.h"

namespace longshot::datasets {
namespace {

std::string column_list(const Json& row) {
  std::vector<std::string> names;
  for (const auto& item : row.items()) names.push_back(item.key());
  return fmt::format("{}", fmt::join(names, ", "));
}

// A hint if the row has a column that many data sets have in place of 'prompt'.
std::string prompt_hint(const Json& row) {
  for (const char* column : {"question", "problem", "query", "instruction", "input"}) {
    if (!has(row, column)) continue;
    return fmt::format("; if '{0}' is the prompt, set data.prompt_key={0} (eval: --prompt-key {0})",
                       column);
  }
  return "";
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

Result<tokenizer::Chat> parse_chat(const OrderedJson& list, const std::string& where) {
  if (!list.is_array() || list.empty()) {
    return invalid_argument(where + ": a chat must be a list of messages that is not empty");
  }
  tokenizer::Chat chat;
  for (const OrderedJson& item : list) {
    const std::string place = fmt::format("{}: message {}", where, chat.size() + 1);
    LS_ASSIGN_OR_RETURN(tokenizer::ChatMessage message, tokenizer::message_of(item, place));
    chat.push_back(std::move(message));
  }
  return chat;
}

Result<std::vector<data::Message>> parse_messages(const Json& list, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const tokenizer::Chat chat, parse_chat(OrderedJson(list), where));
  return std::vector<data::Message>(chat.begin(), chat.end());
}

OrderedJson ordered_column(const Row& row, const std::string& column) {
  if (row.text.empty()) return OrderedJson(row.json[column]);
  // The text was read before, with the same rules; without their order the columns are still right.
  auto ordered = parse_ordered_json(row.text, row.where);
  return ordered.ok() ? std::move((*ordered)[column]) : OrderedJson(row.json[column]);
}

Result<std::string> template_arguments_of(const Row& row) {
  OrderedJson arguments = OrderedJson::object();
  for (const char* column : {"tools", "documents", "chat_template_kwargs"}) {
    if (!has(row.json, column)) continue;
    const std::string where = row.where + ": '" + column + "'";
    OrderedJson value = ordered_column(row, column);
    if (value.is_string()) {
      if (value.get_ref<const std::string&>().empty()) continue;
      LS_ASSIGN_OR_RETURN(value, parse_ordered_json(std::string(value), where));
    }
    const bool named = std::string_view(column) == "chat_template_kwargs";
    if (named ? !value.is_object() : !value.is_array())
      return invalid_argument(where + (named ? " must be an object" : " must be a list"));
    if (!named) {
      if (!value.empty()) arguments[column] = std::move(value);
      continue;
    }
    for (const auto& item : value.items()) arguments[item.key()] = item.value();
  }
  return arguments.empty() ? std::string() : dump_json(arguments);
}

void keep_template_data(const tokenizer::Chat& chat, const std::string& arguments,
                        data::Prompt& prompt) {
  Json messages = Json::object();
  for (size_t i = 0; i < chat.size(); ++i)
    if (!chat[i].json.empty()) messages[std::to_string(i)] = chat[i].json;
  if (messages.empty() && arguments.empty()) return;
  prompt.extra_info["chat_template"] = {{"arguments", arguments}, {"messages", messages}};
}

bool is_template_data(const Json& value) {
  if (!value.is_object() || value.size() != 2 || !value.contains("arguments") ||
      !value["arguments"].is_string() || !value.contains("messages") ||
      !value["messages"].is_object())
    return false;
  for (const auto& [place, message] : value["messages"].items()) {
    const bool number = !place.empty() && place.size() < 10 &&
                        place.find_first_not_of("0123456789") == std::string::npos;
    if (!number || !message.is_string()) return false;
  }
  return true;
}

std::string restore_template_data(const data::Prompt& prompt, tokenizer::Chat& chat) {
  const auto kept = prompt.extra_info.is_object() ? prompt.extra_info.find("chat_template")
                                                  : prompt.extra_info.end();
  if (kept == prompt.extra_info.end() || !is_template_data(*kept)) return std::string();
  for (const auto& item : kept->at("messages").items()) {
    const size_t i = std::stoul(item.key());
    if (i < chat.size()) chat[i].json = item.value().get<std::string>();
  }
  return kept->at("arguments").get<std::string>();
}

Result<std::string> text_of(const Json& value, const std::string& where) {
  if (value.is_null()) return invalid_argument(where + " is null");
  if (value.is_string()) return value.get<std::string>();
  return dump_json(value);
}

}  // namespace longshot::datasets
