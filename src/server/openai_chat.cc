#include "server/openai_chat.h"

#include <fmt/core.h>

#include <algorithm>

#include "datasets/encode.h"
#include "server/openai.h"
#include "tokenizer/chat/chat_values.h"

namespace longshot::server {
namespace {

// The arguments of a call are a text of JSON in OpenAI's interface, and an object in templates.
void open_arguments(OrderedJson& call) {
  if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) return;
  OrderedJson& function = call["function"];
  if (!function.contains("arguments") || !function["arguments"].is_string()) return;
  const auto text = function["arguments"].get<std::string>();
  auto object = parse_ordered_json(text.empty() ? "{}" : text, "arguments");
  if (object.ok() && object->is_object()) function["arguments"] = std::move(*object);
}

bool is_text_part(const OrderedJson& part) {
  return part.is_object() && part.contains("type") && part["type"] == "text" &&
         part.contains("text") && part["text"].is_string();
}

void join_parts(OrderedJson& content) {
  if (!content.is_array() || !std::ranges::all_of(content, is_text_part)) return;
  std::string text;
  for (const OrderedJson& part : content)
    text += (text.empty() ? "" : "\n") + part["text"].get<std::string>();
  content = text;
}

// Whether the chat template renders the texts of a list of parts.
bool renders_parts(const Context& context) {
  constexpr const char* kProbe = "zq5xprobe";
  const OrderedJson parts = OrderedJson::array({OrderedJson{{"type", "text"}, {"text", kProbe}}});
  const auto message =
      tokenizer::message_of(OrderedJson{{"role", "user"}, {"content", parts}}, "a probe");
  if (!message.ok()) return false;
  const auto text = context.chat_template.render_chat({*message}, {});
  if (!text.ok()) return false;
  const size_t at = text->find(kProbe);
  // A template that writes the list itself also contains its keys.
  return at != std::string::npos && text->find("'text'") == std::string::npos &&
         text->find("\"text\"") == std::string::npos;
}

bool reads_calls(const tokenizer::ChatTemplate& chat_template) {
  const auto mentions = [](const std::string& source) {
    return source.find("tool_calls") != std::string::npos;
  };
  const auto& named = chat_template.named_sources();
  return mentions(chat_template.source()) ||
         std::ranges::any_of(named, [&](const auto& one) { return mentions(one.second); });
}

// The form of a message that templates are written for.
OrderedJson in_template_form(const OrderedJson& json, const Context& context) {
  OrderedJson given = json;
  if (!given.is_object()) return given;
  if (given.contains("role") && given["role"] == "developer")
    given["role"] = "system";  // OpenAI's newer name for it
  const bool calls = given.contains("tool_calls") && given["tool_calls"].is_array();
  const bool null = given.contains("content") && given["content"].is_null();
  if (null || (calls && !given.contains("content"))) given["content"] = "";
  if (calls) std::ranges::for_each(given["tool_calls"], open_arguments);
  if (given.contains("content") && given["content"].is_array() && !renders_parts(context))
    join_parts(given["content"]);
  return given;
}

tokenizer::ChatMessage read_message(net::Fields& fields, const OrderedJson& json,
                                    const Context& context, const std::string& where) {
  const OrderedJson given = in_template_form(json, context);
  if (given.is_object() && given.contains("tool_calls") && !given["tool_calls"].empty() &&
      !reads_calls(context.chat_template)) {
    fields.fail(where + ".tool_calls",
                "is not supported: the model's chat template does not read it; write the call into "
                "the content",
                400, "unsupported_parameter");
    return {};
  }
  auto message = tokenizer::message_of(given, where);
  if (message.ok()) return std::move(*message);
  const std::string& why = message.status().message();
  const auto about = [&](const char* key) { return why.find(key) != std::string::npos; };
  const std::string member = about("'content'") ? ".content" : about("'role'") ? ".role" : "";
  fields.fail(net::ApiError{.message = why, .param = where + member});
  return {};
}

// Reads a value of the request with its keys in their original order, because templates write them
// into prompts.
OrderedJson ordered(const std::string& body, const std::string& key) {
  auto whole = parse_ordered_json(body, "the request's body", {.max_depth = kMaxInputJsonDepth});
  return whole.ok() ? std::move((*whole)[key]) : OrderedJson();
}

bool is_strict(const Json& tool) {
  if (!tool.contains("function") || !tool["function"].contains("strict")) return false;
  const Json& strict = tool["function"]["strict"];
  return !strict.is_null() && strict != false;
}

// Calls of tools are part of the answer's text, so nothing makes them follow a schema.
void refuse_strict(net::Fields& fields, const Json& tools) {
  for (size_t i = 0; i < tools.size(); ++i) {
    if (!is_strict(tools[i])) continue;
    fields.fail(fmt::format("tools[{}].function.strict", i),
                "is not supported: the form of a call cannot be enforced here; leave it out and "
                "check the arguments",
                400, "unsupported_parameter");
  }
}

void check_list(net::Fields& fields, const std::string& key, const Json& list,
                const Context& context) {
  if (!list.is_array()) return fields.fail(key, "must be a list");
  if (list.empty()) return;
  if (!context.chat_template.reads(key)) {
    fields.fail(key,
                "is not supported: the model's chat template does not read it; write it into a "
                "message",
                400, "unsupported_parameter");
  }
  if (key == "tools") refuse_strict(fields, list);
}

// The request's arguments for the chat template: tools (unless tool_choice is none), documents, and
// the members of chat_template_kwargs, as in vLLM.
std::string read_arguments(net::Fields& fields, const Context& context, const std::string& body) {
  OrderedJson arguments = OrderedJson::object();
  const bool no_tools = fields.any("tool_choice").value_or(Json()) == "none";
  for (const char* key : {"tools", "documents"}) {
    const Json* list = fields.look(key);
    if (list == nullptr || (no_tools && std::string_view(key) == "tools")) continue;
    check_list(fields, key, *list, context);
    if (!list->empty()) arguments[key] = ordered(body, key);
  }
  const Json* more = fields.look("chat_template_kwargs");
  if (more != nullptr && !more->is_object())
    fields.fail("chat_template_kwargs", "must be an object");
  if (more != nullptr && more->is_object()) {
    const OrderedJson members = ordered(body, "chat_template_kwargs");
    for (const char* own : {"messages", "add_generation_prompt", "continue_final_message"})
      if (members.contains(own))
        fields.fail(std::string("chat_template_kwargs.") + own,
                    "is not read there: give it at the top level of the request");
    for (const auto& item : members.items()) arguments[item.key()] = item.value();
  }
  return arguments.empty() ? std::string() : dump_json(arguments);
}

std::optional<int64_t> read_max_tokens(net::Fields& fields) {
  const auto newer = fields.integer("max_completion_tokens", 1, INT32_MAX);
  const auto older = fields.integer("max_tokens", 1, INT32_MAX);
  if (newer && older && *newer != *older)
    fields.fail("max_tokens", "differs from 'max_completion_tokens', its newer name; give one");
  return newer ? newer : older;
}

void refuse_in_chats(net::Fields& fields) {
  fields.only("functions", {Json::array()}, "'tools' has taken its place");
  for (const char* key : {"tool_choice", "function_call"})
    fields.only(key, {"none", "auto"}, "a call cannot be enforced here; ask for it in a message");
  fields.only("parallel_tool_calls", {true},
              "the number of calls cannot be limited here; ask for it in a message");
  fields.only("add_special_tokens", {false}, "the chat template writes the special tokens");
  fields.only("echo", {false}, "/v1/completions has it");
  fields.only("best_of", {}, "/v1/completions has it");
}

class ChatFormat : public Format {
 public:
  std::string id_prefix() const override { return "chatcmpl-"; }
  std::string object(bool stream) const override {
    return stream ? "chat.completion.chunk" : "chat.completion";
  }

  OrderedJson choice(const AnswerPart& part, bool stream) const override {
    OrderedJson message;
    if (part.first) message["role"] = "assistant";
    if (!stream || !part.text.empty() || part.first) message["content"] = part.text;
    OrderedJson json;
    json["index"] = part.index;
    json[stream ? "delta" : "message"] = message.is_null() ? OrderedJson::object() : message;
    return json;
  }

  OrderedJson logprobs(const AnswerPart& part,
                       const tokenizer::Tokenizer& tokenizer) const override {
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

tokenizer::Chat read_messages(net::Fields& fields, const Context& context,
                              const std::string& body) {
  const Json* list = fields.look("messages");
  tokenizer::Chat messages;
  if (list == nullptr || !list->is_array() || list->empty()) {
    fields.fail("messages", "must be a list of at least one message");
    return messages;
  }
  const OrderedJson chat = ordered(body, "messages");
  for (size_t i = 0; i < chat.size(); ++i)
    messages.push_back(read_message(fields, chat[i], context, fmt::format("messages[{}]", i)));
  if (!context.system.empty() && messages.front().role != "system")
    messages.insert(messages.begin(), {{"system", context.system}});
  return messages;
}

tokenizer::ChatOptions read_chat_options(net::Fields& fields, const Context& context,
                                         const std::string& body) {
  tokenizer::ChatOptions options;
  options.continue_final_message = fields.boolean("continue_final_message", false);
  options.add_generation_prompt =
      fields.boolean("add_generation_prompt", !options.continue_final_message);
  options.arguments = read_arguments(fields, context, body);
  return options;
}

OpenAiParams parse_chat(net::Fields& fields, const Context& context, const std::string& body) {
  OpenAiParams params = read_openai(fields, context);
  // A byte of text takes at most six bytes in JSON.
  check_text_size(fields, "messages", body.size() / 6, context);
  if (!fields.ok()) return params;
  const tokenizer::Chat messages = read_messages(fields, context, body);
  const tokenizer::ChatOptions options = read_chat_options(fields, context, body);
  params.logprobs = fields.boolean("logprobs", false);
  const int64_t top = fields.integer("top_logprobs", 0, 20).value_or(0);
  if (top > 0 && !params.logprobs) fields.fail("top_logprobs", "needs 'logprobs' to be true");
  params.generate.sampling.top_logprobs = static_cast<int>(top);
  const auto max_tokens = read_max_tokens(fields);
  refuse_in_chats(fields);
  fields.finish();
  if (!fields.ok()) return params;
  auto prompt = datasets::encode_chat(context.tokenizer, context.chat_template, messages, options,
                                      "messages");
  if (!prompt.ok()) {
    fields.fail(net::ApiError{.message = prompt.status().message(), .param = "messages"});
    return params;
  }
  params.generate.prompts = {std::move(*prompt)};
  set_lengths(fields, max_tokens, 0, context, params.generate);
  return params;
}

net::Reply chat_completions(const Context& context, const net::Call& call) {
  net::Fields fields(call.body);
  const OpenAiParams params = parse_chat(fields, context, call.body);
  if (!fields.ok()) return net::error_reply(fields.error());
  return answer(context, call, params, std::make_shared<ChatFormat>());
}

}  // namespace longshot::server
