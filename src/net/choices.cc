#include "net/choices.h"

#include <cmath>

#include "base/text/text.h"
#include "net/http_reply.h"

namespace longshot::net {
namespace {

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

std::vector<data::TokenId> ids_of(const Json& list) {
  std::vector<data::TokenId> ids;
  for (const Json& id : list.is_array() ? list : Json::array()) {
    if (!id.is_number_integer()) return {};
    ids.push_back(id.get<data::TokenId>());
  }
  return ids;
}

// JSON has no -infinity; servers write null or a large negative number for it.
bool add_logprob(const Json& value, std::vector<float>& logprobs) {
  const auto number = number_of(value);
  if (number) logprobs.push_back(static_cast<float>(*number));
  return number.has_value();
}

// The log-probabilities of a chat: {"content": [{"logprob", ...}]}; of a completion:
// {"token_logprobs": [...]}. Empty if one is missing.
std::vector<float> logprobs_of(const Json& json) {
  std::vector<float> logprobs;
  const Json& content = member(json, "content");
  const Json& list = content.is_array() ? content : member(json, "token_logprobs");
  for (const Json& item : list.is_array() ? list : Json::array()) {
    if (!add_logprob(content.is_array() ? member(item, "logprob") : item, logprobs)) return {};
  }
  return logprobs;
}

// SGLang's form: [[log-probability, id, text], ...].
void read_meta_info(const Json& meta_info, ChatChoice& choice) {
  const Json& list = member(meta_info, "output_token_logprobs");
  if (!list.is_array()) return;
  std::vector<data::TokenId> ids;
  std::vector<float> logprobs;
  for (const Json& item : list) {
    const bool sound = item.is_array() && item.size() >= 2 && item[1].is_number_integer() &&
                       add_logprob(item[0], logprobs);
    if (!sound) return;
    ids.push_back(item[1].get<data::TokenId>());
  }
  choice.token_ids = std::move(ids);
  choice.logprobs = std::move(logprobs);
}

void read_tokens(const Json& json, ChatChoice& choice) {
  choice.token_ids = ids_of(member(json, "token_ids"));
  choice.logprobs = logprobs_of(member(json, "logprobs"));
  if (choice.token_ids.empty()) read_meta_info(member(json, "meta_info"), choice);
  choice.tokens = static_cast<int64_t>(std::max(choice.token_ids.size(), choice.logprobs.size()));
  if (choice.logprobs.size() != choice.token_ids.size()) choice.logprobs.clear();
}

// SGLang writes an object {"type": "stop"} in /generate, and OpenAI's API a text.
std::string finish_of(const Json& json) {
  return json.is_object() ? text_of(member(json, "type")) : text_of(json);
}

ChatChoice read_choice(const Json& json) {
  const Json& message = member(json, "message");
  ChatChoice choice;
  choice.content = text_of(message.is_object() ? member(message, "content") : member(json, "text"));
  // vLLM has renamed the member.
  choice.reasoning = text_of(member(message, "reasoning"));
  if (choice.reasoning.empty()) choice.reasoning = text_of(member(message, "reasoning_content"));
  choice.refusal = text_of(member(message, "refusal"));
  choice.finish_reason = finish_of(member(json, "finish_reason"));
  read_tokens(json, choice);
  return choice;
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

Result<std::vector<ChatChoice>> read_choices(const std::string& body, const std::string& who) {
  const auto json = parse_json(body, who);
  const Json list = json.ok() ? member(*json, "choices") : Json();
  if (!list.is_array() || list.empty())
    return corrupt(who + ": not a chat completion: " + error_text(body));
  std::vector<ChatChoice> choices;
  for (const Json& choice : list) choices.push_back(read_choice(choice));
  const Json& count = member(member(*json, "usage"), "completion_tokens");
  // With several choices the count is that of all.
  if (choices.size() == 1 && count.is_number_integer() && count.get<int64_t>() > 0)
    choices[0].tokens = count.get<int64_t>();
  return choices;
}

}  // namespace longshot::net
