#include "net/chat_client.h"

#include <algorithm>

#include "base/log.h"

namespace longshot::net {
namespace {

constexpr std::string_view kChat = "/chat/completions", kCompletions = "/completions";

// The path with `endpoint` at its end; a query stays behind it.
std::string path_to(const std::string& path, std::string_view endpoint) {
  const size_t end = std::min(path.find('?'), path.size());
  std::string base = path.substr(0, end);
  while (base.ends_with('/')) base.pop_back();
  if (base.empty()) base = "/v1";
  for (const std::string_view other : {kChat, kCompletions}) {
    if (base.ends_with(other)) {
      base.resize(base.size() - other.size());
      break;
    }
  }
  return base + std::string(endpoint) + path.substr(end);
}

void set_prompt(const ChatQuery& query, OrderedJson& body) {
  if (!query.raw_messages.is_null()) {
    body["messages"] = query.raw_messages;
  } else if (!query.messages.empty()) {
    body["messages"] = OrderedJson::array();
    for (const data::Message& message : query.messages)
      body["messages"].push_back(data::to_json(message));
  } else if (!query.prompt_tokens.empty()) {
    body["prompt"] = query.prompt_tokens;
  } else {
    body["prompt"] = query.prompt;
  }
}

void set_sampling(const ChatQuery& query, OrderedJson& body) {
  if (query.temperature) body["temperature"] = *query.temperature;
  if (query.top_p) body["top_p"] = *query.top_p;
  if (query.top_k) body["top_k"] = *query.top_k;
  if (query.min_p) body["min_p"] = *query.min_p;
  if (!query.stop.empty()) body["stop"] = query.stop;
}

// Older versions of SGLang give the ids of a chat only in meta_info.
void ask_for_token_ids(bool chat, bool meta_info, OrderedJson& body) {
  body["logprobs"] = chat ? OrderedJson(true) : OrderedJson(0);
  body["return_token_ids"] = true;
  if (chat && meta_info) body["return_meta_info"] = true;
}

// Like check_http_status(), but corrupt if only this query is refused.
Status check_status(const HttpReply& reply, const std::string& who) {
  const Status status = check_http_status(reply, who);
  const bool this_one = reply.status == 400 || reply.status == 413 || reply.status == 422;
  return this_one ? corrupt(status.message()) : status;
}

}  // namespace

std::string chat_path(const std::string& path) {
  return path_to(path, kChat);
}
std::string completions_path(const std::string& path) {
  return path_to(path, kCompletions);
}

bool refuses_parameter(const std::string& body, const std::string& parameter) {
  const auto json = parse_json(body, "error");
  if (json.ok() && json->is_object() && json->contains("error") && (*json)["error"].is_object() &&
      (*json)["error"].value("param", Json()) == parameter) {
    return true;
  }
  const std::string text = error_text(body);
  for (const char* quote : {"'", "\"", "`"}) {
    if (text.find(quote + parameter + quote) != std::string::npos) return true;
  }
  return text.find("body." + parameter + ":") != std::string::npos;
}

OrderedJson ChatClient::body_of(const ChatQuery& query) const {
  OrderedJson body = OrderedJson::object();
  if (!query.more_members.is_null()) body = query.more_members;
  set_prompt(query, body);
  if (!query.model.empty()) body["model"] = query.model;
  if (query.choices != 1) body["n"] = query.choices;
  if (query.max_tokens > 0)
    body[max_tokens_refused_ ? "max_completion_tokens" : "max_tokens"] = query.max_tokens;
  set_sampling(query, body);
  if (query.seed && !seed_refused_) body["seed"] = *query.seed;
  if (query.token_ids && !token_ids_refused_)
    ask_for_token_ids(!query.messages.empty(), !meta_info_refused_, body);
  return body;
}

// Returns true if the query should be sent again, because this or another thread's query has found
// out what the server refuses.
bool ChatClient::adapt(const HttpReply& reply, const ChatQuery& query, const std::string& who) {
  if (reply.status != 400 && reply.status != 422) return false;
  const std::string& body = reply.body;
  const auto note = [&](std::atomic<bool>& refused, const char* what) {
    if (!refused.exchange(true)) log::warn("{}: {} ({})", who, what, error_text(body));
    return true;
  };
  if (query.max_tokens > 0 && !query.messages.empty() &&
      body.find("max_completion_tokens") != std::string::npos &&
      refuses_parameter(body, "max_tokens")) {
    max_tokens_refused_ = true;  // the same limit under another name, so no warning is needed
    return true;
  }
  if (query.seed && refuses_parameter(body, "seed"))
    return note(seed_refused_, "the server takes no seed; requests are sent without one");
  if (!query.token_ids) return false;
  if (refuses_parameter(body, "return_meta_info")) {
    meta_info_refused_ = true;
    return true;
  }
  for (const char* name : {"logprobs", "return_token_ids"}) {
    if (refuses_parameter(body, name))
      return note(token_ids_refused_, "the server gives no token ids or log-probabilities");
  }
  return false;
}

Result<std::vector<ChatChoice>> ChatClient::ask(const ChatQuery& query, Deadline deadline) {
  std::string sent;
  while (true) {
    std::string body = dump_json(body_of(query));
    LS_ASSIGN_OR_RETURN(const auto answer, services_.send(body, deadline));
    if (body != sent && adapt(answer.reply, query, answer.who)) {
      sent = std::move(body);
      continue;
    }
    LS_RETURN_IF_ERROR(check_status(answer.reply, answer.who));
    return read_choices(answer.reply.body, answer.who);
  }
}

}  // namespace longshot::net
