#include "curate/samples/judged_prompt.h"

#include <fmt/format.h>

namespace longshot::curate {
namespace {

Status read_prompt(const Json& json, JudgedPrompt& prompt, const std::string& where) {
  const auto value = json.find("prompt");
  if (value == json.end()) return invalid_argument(where + ": key 'prompt' is missing");
  if (value->is_string()) {
    prompt.text = value->get<std::string>();
    return ok_status();
  }
  if (!value->is_array() || value->empty()) {
    return invalid_argument(where + ": key 'prompt' is neither a text nor a list of messages");
  }
  for (const Json& item : *value) {
    LS_ASSIGN_OR_RETURN(data::Message message,
                        data::message_from_json(item, where + ": key 'prompt'"));
    prompt.messages.push_back(std::move(message));
  }
  return ok_status();
}

// A value that is not a text is kept, and its text is one line of JSON as in data::Prompt.
void read_ground_truth(const Json& json, JudgedPrompt& prompt) {
  const auto value = json.find("ground_truth");
  if (value == json.end() || value->is_null()) return;
  if (value->is_string()) {
    prompt.ground_truth = value->get<std::string>();
  } else {
    prompt.ground_truth = dump_json(*value);
    prompt.ground_truth_json = *value;
  }
}

Status check_sample(const JudgedSample& sample, const std::string& where) {
  if (sample.tokens < 0) return invalid_argument(where + ": key 'tokens' is negative");
  if (!sample.logprobs.empty() && sample.logprobs.size() != sample.token_ids.size())
    return invalid_argument(where + ": keys 'logprobs' and 'token_ids' differ in length");
  const bool known = sample.finish.empty() || data::parse_finish_reason(sample.finish);
  if (!known) return invalid_argument(where + ": key 'finish': unknown '" + sample.finish + "'");
  if (sample.finish.empty() && sample.error.empty())
    return invalid_argument(where + ": needs key 'finish', or 'error' if there is no response");
  return ok_status();
}

Result<JudgedSample> sample_of(const Json& json, const std::string& where) {
  if (!json.is_object()) return invalid_argument(where + ": a sample is a JSON object");
  JudgedSample s;
  LS_ASSIGN_OR_RETURN(s.index, json_get<uint32_t>(json, "index", where));
  LS_ASSIGN_OR_RETURN(s.response, json_get_or<std::string>(json, "response", "", where));
  LS_ASSIGN_OR_RETURN(s.tokens, json_get_or<int64_t>(json, "tokens", 0, where));
  LS_ASSIGN_OR_RETURN(s.finish, json_get_or<std::string>(json, "finish", "", where));
  if (json.contains("score") && !json["score"].is_null()) {
    LS_ASSIGN_OR_RETURN(s.score, json_get<double>(json, "score", where));
  }
  LS_ASSIGN_OR_RETURN(s.correct, json_get_or<bool>(json, "correct", false, where));
  LS_ASSIGN_OR_RETURN(s.answer, json_get_or<std::string>(json, "answer", "", where));
  LS_ASSIGN_OR_RETURN(s.components,
                      (json_get_or<std::map<std::string, double>>(json, "components", {}, where)));
  LS_ASSIGN_OR_RETURN(s.error, json_get_or<std::string>(json, "error", "", where));
  LS_ASSIGN_OR_RETURN(s.token_ids,
                      json_get_or<std::vector<data::TokenId>>(json, "token_ids", {}, where));
  LS_ASSIGN_OR_RETURN(s.logprobs, json_get_or<std::vector<float>>(json, "logprobs", {}, where));
  LS_RETURN_IF_ERROR(check_sample(s, where));
  return s;
}

Status read_samples(const Json& json, JudgedPrompt& prompt, const std::string& where) {
  LS_ASSIGN_OR_RETURN(const Json list, json_get<Json>(json, "samples", where));
  if (!list.is_array()) return invalid_argument(where + ": key 'samples' is not a list");
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string place = fmt::format("{}: samples[{}]", where, i);
    LS_ASSIGN_OR_RETURN(JudgedSample sample, sample_of(list[i], place));
    if (!prompt.samples.empty() && sample.index <= prompt.samples.back().index)
      return invalid_argument(place + ": key 'index' does not ascend");
    prompt.samples.push_back(std::move(sample));
  }
  return ok_status();
}

// The value without the order of its keys. It is not written out and read again, because that
// would copy long responses.
Json unordered(const OrderedJson& json) {
  if (json.is_object()) {
    Json object = Json::object();
    for (const auto& [key, value] : json.items()) object[key] = unordered(value);
    return object;
  }
  if (!json.is_array()) return Json(json);
  Json list = Json::array();
  for (const OrderedJson& item : json) list.push_back(unordered(item));
  return list;
}

}  // namespace

OrderedJson prompt_json(const data::Prompt& prompt) {
  if (prompt.messages.empty()) return prompt.text;
  OrderedJson list = OrderedJson::array();
  for (const data::Message& message : prompt.messages) list.push_back(data::to_json(message));
  return list;
}

OrderedJson to_json(const JudgedSample& sample) {
  OrderedJson json = {{"index", sample.index}, {"response", sample.response}};
  if (!sample.finish.empty()) {
    json["tokens"] = sample.tokens;
    json["finish"] = sample.finish;
  }
  if (sample.score) {
    json["score"] = *sample.score;
    json["correct"] = sample.correct;
    json["answer"] = sample.answer;
    json["components"] = sample.components;
  }
  if (!sample.error.empty()) json["error"] = sample.error;
  if (!sample.token_ids.empty()) json["token_ids"] = sample.token_ids;
  if (!sample.logprobs.empty()) json["logprobs"] = sample.logprobs;
  return json;
}

OrderedJson to_json(const JudgedPrompt& prompt) {
  OrderedJson json = {{"id", prompt.id}, {"data_source", prompt.data_source}};
  json["prompt"] = prompt_json(prompt);
  const bool text = prompt.ground_truth_json.is_null();
  json["ground_truth"] =
      text ? OrderedJson(prompt.ground_truth) : OrderedJson(prompt.ground_truth_json);
  json["extra_info"] =
      prompt.extra_info.is_null() ? OrderedJson::object() : OrderedJson(prompt.extra_info);
  json["samples"] = OrderedJson::array();
  for (const JudgedSample& sample : prompt.samples) json["samples"].push_back(to_json(sample));
  return json;
}

Result<JudgedPrompt> judged_prompt_from_json(const OrderedJson& json, const std::string& where) {
  return judged_prompt_from_json(unordered(json), where);
}

Result<JudgedPrompt> judged_prompt_from_json(const Json& json, const std::string& where) {
  if (!json.is_object()) return invalid_argument(where + ": a row is a JSON object");
  JudgedPrompt prompt;
  LS_ASSIGN_OR_RETURN(prompt.id, json_get<std::string>(json, "id", where));
  LS_ASSIGN_OR_RETURN(prompt.data_source, json_get_or<std::string>(json, "data_source", "", where));
  LS_RETURN_IF_ERROR(read_prompt(json, prompt, where));
  read_ground_truth(json, prompt);
  LS_ASSIGN_OR_RETURN(prompt.extra_info,
                      json_get_or<Json>(json, "extra_info", Json::object(), where));
  if (!prompt.extra_info.is_object())
    return invalid_argument(where + ": key 'extra_info' is not an object");
  LS_RETURN_IF_ERROR(read_samples(json, prompt, where));
  return prompt;
}

}  // namespace longshot::curate
