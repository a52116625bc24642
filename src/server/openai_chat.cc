#include "server/openai_chat.h"

#include <fmt/core.h>

#include "prompts/encode.h"
#include "server/openai.h"

namespace longshot::server {
namespace {

// Text of a message's content, a string or a list of {"type": "text", "text": ...}; nothing if it is anything else.
std::optional<std::string> content_text(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) return std::nullopt;
  std::string text;
  for (const Json& part : content) {
    const bool is_text = part.is_object() && part.value("type", Json()) == "text" &&
                         part.contains("text") && part["text"].is_string();
    if (!is_text) return std::nullopt;
    text += part["text"].get<std::string>();
  }
  return text;
}

data::Message read_message(Fields& fields, const Json& json, const std::string& where) {
  Fields message(json, where + ".");
  data::Message out;
  out.role = message.string("role").value_or("");
  if (out.role == "developer") out.role = "system";  // OpenAI's newer name for it
  if (out.role != "system" && out.role != "user" && out.role != "assistant") {
    message.fail("role", "must be system, developer, user or assistant");
  }
  const auto text = content_text(message.any("content").value_or(Json()));
  if (!text) message.fail("content", "must be a string or a list of text parts");
  out.content = text.value_or("");
  message.only("refusal", {});
  message.only("tool_calls", {Json::array()});
  message.finish();
  if (!message.ok()) fields.fail(message.error());
  return out;
}

class ChatFormat : public Format {
 public:
  std::string id_prefix() const override { return "chatcmpl-"; }
  std::string object(bool stream) const override {
    return stream ? "chat.completion.chunk" : "chat.completion";
  }

  OrderedJson choice(const Part& part, bool stream) const override {
    OrderedJson message;
    if (part.first) message["role"] = "assistant";
    if (!stream || !part.text.empty() || part.first) message["content"] = part.text;
    OrderedJson json;
    json["index"] = part.index;
    json[stream ? "delta" : "message"] = message.is_null() ? OrderedJson::object() : message;
    return json;
  }

  OrderedJson logprobs(const Part& part, const tokenizer::Tokenizer& tokenizer) const override {
    OrderedJson content = OrderedJson::array();
    for (const rollout::Choice& token : part.tokens) {
      OrderedJson entry = token_json(tokenizer, token.token, token.logprob);
      entry["top_logprobs"] = OrderedJson::array();
      for (const auto& top : token.top)
        entry["top_logprobs"].push_back(token_json(tokenizer, top.token, top.logprob));
      content.push_back(std::move(entry));
    }
    OrderedJson json;
    json["content"] = std::move(content);
    json["refusal"] = nullptr;
    return json;
  }

 private:
  static OrderedJson token_json(const tokenizer::Tokenizer& tokenizer, data::TokenId token,
                                float logprob) {
    OrderedJson json;
    json["token"] = token_text(tokenizer, token);
    json["logprob"] = finite_logprob(logprob);
    json["bytes"] = OrderedJson::array();
    for (const char c : tokenizer.token_bytes(token))
      json["bytes"].push_back(static_cast<unsigned char>(c));
    return json;
  }
};

}  // namespace

std::vector<data::Message> read_messages(Fields& fields) {
  const auto list = fields.any("messages");
  std::vector<data::Message> messages;
  if (!list || !list->is_array() || list->empty()) {
    fields.fail("messages", "must be a list of at least one message");
    return messages;
  }
  for (size_t i = 0; i < list->size(); ++i)
    messages.push_back(read_message(fields, (*list)[i], fmt::format("messages[{}]", i)));
  return messages;
}

OpenAiParams parse_chat(Fields& fields, const Context& context) {
  OpenAiParams params = read_openai(fields, context);
  std::vector<data::Message> messages = read_messages(fields);
  params.logprobs = fields.boolean("logprobs", false);
  const int64_t top = fields.integer("top_logprobs", 0, 20).value_or(0);
  if (top > 0 && !params.logprobs) fields.fail("top_logprobs", "needs 'logprobs' to be true");
  params.generate.sampling.top_logprobs = static_cast<int>(top);
  auto max_tokens = fields.integer("max_completion_tokens", 1, INT32_MAX);
  const auto older_name = fields.integer("max_tokens", 1, INT32_MAX);
  if (!max_tokens) max_tokens = older_name;
  for (const char* key : {"tools", "functions"}) fields.only(key, {Json::array()});
  for (const char* key : {"tool_choice", "function_call"}) fields.only(key, {"none", "auto"});
  fields.only("modalities", {{"text"}});
  fields.ignore({"parallel_tool_calls"});
  fields.finish();
  if (!fields.ok()) return params;
  if (!context.system.empty() && messages.front().role != "system")
    messages.insert(messages.begin(), {"system", context.system});
  auto prompt =
      prompts::encode_chat(context.tokenizer, context.chat_template, messages, true, "messages");
  if (!prompt.ok()) {
    fields.fail(ApiError{.message = prompt.status().message(), .param = "messages"});
    return params;
  }
  params.generate.prompts = {std::move(*prompt)};
  set_lengths(fields, max_tokens, 0, context, params.generate);
  return params;
}

Reply chat_completions(const Context& context, const Call& call) {
  Fields fields(call.body);
  const OpenAiParams params = parse_chat(fields, context);
  if (!fields.ok()) return error_reply(fields.error());
  return answer(context, call, params, std::make_shared<ChatFormat>());
}

}  // namespace longshot::server
