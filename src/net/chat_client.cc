#include "net/chat_client.h"

#include "base/text/text.h"

namespace longshot::net {
namespace {

constexpr std::string_view kEndpoint = "/chat/completions";

const Json& member(const Json& object, const char* key) {
  static const Json none;
  if (!object.is_object()) return none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

// A content is a text, null, or a list of parts {"type": "text", "text": ...}, of which parts of
// other types, such as "thinking", do not belong to the answer.
std::string text_of(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string text;
  if (!content.is_array()) return text;
  for (const Json& part : content)
    if (member(part, "type") == "text") text += text_of(member(part, "text"));
  return text;
}

ChatChoice read_choice(const Json& json) {
  const Json& message = member(json, "message");
  ChatChoice choice;
  choice.content = text_of(member(message, "content"));
  // vLLM has renamed the member.
  choice.reasoning = text_of(member(message, "reasoning"));
  if (choice.reasoning.empty()) choice.reasoning = text_of(member(message, "reasoning_content"));
  choice.refusal = text_of(member(message, "refusal"));
  choice.finish_reason = text_of(member(json, "finish_reason"));
  return choice;
}

Json body_of(const ChatQuery& query) {
  Json messages = Json::array();
  for (const data::Message& message : query.messages)
    messages.push_back(Json(data::to_json(message)));
  Json body = {{"messages", std::move(messages)}};
  if (!query.model.empty()) body["model"] = query.model;
  if (query.choices != 1) body["n"] = query.choices;
  if (query.max_tokens > 0) body["max_tokens"] = query.max_tokens;
  if (query.temperature) body["temperature"] = *query.temperature;
  if (query.top_p) body["top_p"] = *query.top_p;
  if (!query.stop.empty()) body["stop"] = query.stop;
  if (query.seed) body["seed"] = *query.seed;
  return body;
}

// Like check_http_status(), but corrupt if only this query is refused.
Status check_status(const HttpReply& reply, const std::string& who) {
  const Status status = check_http_status(reply, who);
  const bool this_one = reply.status == 400 || reply.status == 413 || reply.status == 422;
  return this_one ? corrupt(status.message()) : status;
}

}  // namespace

std::string ChatChoice::defect() const {
  const bool cut = finish_reason == "length";
  if (!refusal.empty()) return "the model refuses: " + refusal.substr(0, 200);
  if (finish_reason == "content_filter") return "the service's filter has removed the text";
  if (!trim(content).empty()) return cut ? "the text is cut at max_tokens" : "";
  if (!reasoning.empty())
    return cut ? "the reasoning used up max_tokens" : "there is only reasoning";
  return "there is no text" + (finish_reason.empty() ? "" : ", finish_reason " + finish_reason);
}

std::string chat_path(const std::string& path) {
  const size_t end = std::min(path.find('?'), path.size());
  std::string base = path.substr(0, end);
  while (base.ends_with('/')) base.pop_back();
  if (base.empty()) base = "/v1";
  if (!base.ends_with(kEndpoint)) base += kEndpoint;
  return base + path.substr(end);
}

Result<std::vector<ChatChoice>> ChatClient::ask(const ChatQuery& query, Deadline deadline) {
  LS_ASSIGN_OR_RETURN(const auto answer, services_.send(dump_json(body_of(query)), deadline));
  LS_RETURN_IF_ERROR(check_status(answer.reply, answer.who));
  const auto json = parse_json(answer.reply.body, answer.who);
  const Json list = json.ok() ? member(*json, "choices") : Json();
  if (!list.is_array() || list.empty())
    return corrupt(answer.who + ": not a chat completion: " + error_text(answer.reply.body));
  std::vector<ChatChoice> choices;
  for (const Json& choice : list) choices.push_back(read_choice(choice));
  return choices;
}

}  // namespace longshot::net
