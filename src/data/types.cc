#include "data/types.h"

#include <array>

namespace longshot::data {
namespace {

struct FinishName {
  FinishReason reason;
  const char* name;
};
constexpr std::array<FinishName, 5> kFinishNames = {{{FinishReason::stop, "stop"},
                                                     {FinishReason::length, "length"},
                                                     {FinishReason::partial, "partial"},
                                                     {FinishReason::repetition, "repetition"},
                                                     {FinishReason::aborted, "aborted"}}};

// [begin, end, version], followed by the engine's name unless it is longshot.
Result<Segment> segment_from_json(const Json& json, const std::string& where) {
  Json range = json, name = name_of(EngineKind::longshot);
  if (json.is_array() && json.size() == 4) {
    name = json[3];
    range.erase(3);
  }
  const Json named = {{"range", range}, {"engine", name}};
  LS_ASSIGN_OR_RETURN(const auto numbers,
                      (json_get<std::array<int64_t, 3>>(named, "range", where + ": segments")));
  LS_ASSIGN_OR_RETURN(const auto text,
                      json_get<std::string>(named, "engine", where + ": segments"));
  const auto engine = value_of<EngineKind>(text);
  if (!engine) return invalid_argument(where + ": segments: unknown engine '" + text + "'");
  return Segment{static_cast<int>(numbers[0]), static_cast<int>(numbers[1]), numbers[2], *engine};
}

}  // namespace

const char* finish_reason_name(FinishReason reason) {
  for (const auto& entry : kFinishNames)
    if (entry.reason == reason) return entry.name;
  return "unknown";
}

std::optional<FinishReason> parse_finish_reason(const std::string& name) {
  for (const auto& entry : kFinishNames)
    if (name == entry.name) return entry.reason;
  return std::nullopt;
}

Json to_json(const Sample& sample) {
  Json segments = Json::array();
  for (const Segment& s : sample.segments) {
    segments.push_back({s.begin, s.end, s.version});
    if (s.engine != EngineKind::longshot) segments.back().push_back(name_of(s.engine));
  }
  return {{"prompt_id", sample.prompt_id},
          {"index", sample.index},
          {"seed", sample.seed},
          {"prompt_tokens", sample.prompt_tokens},
          {"tokens", sample.tokens},
          {"logprobs", sample.logprobs},
          {"segments", segments},
          {"finish", finish_reason_name(sample.finish)},
          {"text", sample.text}};
}

Result<Sample> sample_from_json(const Json& json, const std::string& where) {
  Sample sample;
  LS_ASSIGN_OR_RETURN(sample.prompt_id, json_get<std::string>(json, "prompt_id", where));
  LS_ASSIGN_OR_RETURN(sample.index, json_get<uint32_t>(json, "index", where));
  LS_ASSIGN_OR_RETURN(sample.seed, json_get<uint64_t>(json, "seed", where));
  LS_ASSIGN_OR_RETURN(sample.prompt_tokens,
                      json_get<std::vector<TokenId>>(json, "prompt_tokens", where));
  LS_ASSIGN_OR_RETURN(sample.tokens, json_get<std::vector<TokenId>>(json, "tokens", where));
  LS_ASSIGN_OR_RETURN(sample.logprobs, json_get<std::vector<float>>(json, "logprobs", where));
  LS_ASSIGN_OR_RETURN(const auto segments, json_get<std::vector<Json>>(json, "segments", where));
  for (const Json& s : segments) {
    LS_ASSIGN_OR_RETURN(Segment segment, segment_from_json(s, where));
    sample.segments.push_back(std::move(segment));
  }
  LS_ASSIGN_OR_RETURN(const auto finish, json_get<std::string>(json, "finish", where));
  const auto reason = parse_finish_reason(finish);
  if (!reason) return invalid_argument(where + ": unknown finish reason '" + finish + "'");
  sample.finish = *reason;
  LS_ASSIGN_OR_RETURN(sample.text, json_get<std::string>(json, "text", where));
  if (sample.logprobs.size() != sample.tokens.size()) {
    return corrupt(where + ": logprobs and tokens differ in length");
  }
  return sample;
}

Json to_json(const Verdict& verdict) {
  Json json = {{"scored", verdict.scored},   {"score", verdict.score},
               {"correct", verdict.correct}, {"components", verdict.components},
               {"answer", verdict.answer},   {"error", verdict.error}};
  for (const auto& [reward, steps] : verdict.step_values)
    json["step_values"][reward] = to_json(steps);
  return json;
}

Result<Verdict> verdict_from_json(const Json& json, const std::string& where) {
  Verdict verdict;
  LS_ASSIGN_OR_RETURN(verdict.scored, json_get<bool>(json, "scored", where));
  LS_ASSIGN_OR_RETURN(verdict.score, json_get<double>(json, "score", where));
  LS_ASSIGN_OR_RETURN(verdict.correct, json_get<bool>(json, "correct", where));
  LS_ASSIGN_OR_RETURN(verdict.components,
                      (json_get<std::map<std::string, double>>(json, "components", where)));
  // Missing in records from before values per step, and without such values.
  LS_ASSIGN_OR_RETURN(const Json steps,
                      json_get_or<Json>(json, "step_values", Json::object(), where));
  for (const auto& [reward, list] : steps.items()) {
    LS_ASSIGN_OR_RETURN(verdict.step_values[reward],
                        step_values_from_json(list, where + ": step_values of '" + reward + "'"));
  }
  LS_ASSIGN_OR_RETURN(verdict.answer, json_get<std::string>(json, "answer", where));
  LS_ASSIGN_OR_RETURN(verdict.error, json_get<std::string>(json, "error", where));
  return verdict;
}

Json to_json(const Prompt& prompt) {
  Json messages = Json::array();
  for (const Message& m : prompt.messages) messages.push_back(Json(to_json(m)));
  return {{"id", prompt.id},
          {"data_source", prompt.data_source},
          {"messages", messages},
          {"text", prompt.text},
          {"ground_truth", prompt.ground_truth},
          {"ground_truth_json", prompt.ground_truth_json},
          {"extra_info", prompt.extra_info},
          {"difficulty", prompt.difficulty},
          {"tokens", prompt.tokens}};
}

Result<Prompt> prompt_from_json(const Json& json, const std::string& where) {
  Prompt prompt;
  LS_ASSIGN_OR_RETURN(prompt.id, json_get<std::string>(json, "id", where));
  LS_ASSIGN_OR_RETURN(prompt.data_source, json_get<std::string>(json, "data_source", where));
  LS_ASSIGN_OR_RETURN(const Json messages, json_get<Json>(json, "messages", where));
  for (const Json& m : messages) {
    LS_ASSIGN_OR_RETURN(Message message, message_from_json(m, where));
    prompt.messages.push_back(std::move(message));
  }
  LS_ASSIGN_OR_RETURN(prompt.text, json_get<std::string>(json, "text", where));
  LS_ASSIGN_OR_RETURN(prompt.ground_truth, json_get<std::string>(json, "ground_truth", where));
  prompt.ground_truth_json = json.value("ground_truth_json", Json());
  LS_ASSIGN_OR_RETURN(prompt.extra_info, json_get<Json>(json, "extra_info", where));
  LS_ASSIGN_OR_RETURN(prompt.difficulty, json_get<double>(json, "difficulty", where));
  LS_ASSIGN_OR_RETURN(prompt.tokens, json_get<std::vector<TokenId>>(json, "tokens", where));
  return prompt;
}

Json to_json(const Group& group) {
  Json samples = Json::array(), verdicts = Json::array();
  for (const Sample& sample : group.samples) samples.push_back(to_json(sample));
  for (const Verdict& verdict : group.verdicts) verdicts.push_back(to_json(verdict));
  return {{"prompt", to_json(group.prompt)},
          {"samples", std::move(samples)},
          {"verdicts", std::move(verdicts)}};
}

Result<Group> group_from_json(const Json& json, const std::string& where) {
  Group group;
  LS_ASSIGN_OR_RETURN(const Json prompt, json_get<Json>(json, "prompt", where));
  LS_ASSIGN_OR_RETURN(group.prompt, prompt_from_json(prompt, where));
  LS_ASSIGN_OR_RETURN(const Json samples, json_get<Json>(json, "samples", where));
  for (const Json& one : samples) {
    LS_ASSIGN_OR_RETURN(Sample sample, sample_from_json(one, where));
    group.samples.push_back(std::move(sample));
  }
  LS_ASSIGN_OR_RETURN(const Json verdicts, json_get<Json>(json, "verdicts", where));
  for (const Json& one : verdicts) {
    LS_ASSIGN_OR_RETURN(Verdict verdict, verdict_from_json(one, where));
    group.verdicts.push_back(std::move(verdict));
  }
  return group;
}

}  // namespace longshot::data
