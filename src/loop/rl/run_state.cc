#include "loop/rl/run_state.h"

#include "base/run_log/metrics_log.h"

namespace longshot::loop {

Json to_json(const RunState& s, const prompts::PromptSampler& sampler) {
  Json out = {{"iteration", s.iteration},
              {"policy_version", s.policy_version},
              {"total_tokens", s.total_tokens},
              {"phase", to_json(s.phase)},
              {"candidates", to_json(s.candidates)},
              {"prompts", sampler.state(s.prompts)},
              {"unfinished", metrics_to_json(s.unfinished)}};
  if (s.ahead) out["ahead"] = to_json(*s.ahead);
  if (s.rounds_ahead) out["rounds_ahead"] = to_json(*s.rounds_ahead);
  return out;
}

Result<RunState> run_state_from_json(const Json& json, const std::string& where) {
  RunState s;
  LS_ASSIGN_OR_RETURN(s.iteration, json_get<int64_t>(json, "iteration", where));
  LS_ASSIGN_OR_RETURN(s.policy_version, json_get<int64_t>(json, "policy_version", where));
  LS_ASSIGN_OR_RETURN(s.total_tokens, json_get<int64_t>(json, "total_tokens", where));
  LS_ASSIGN_OR_RETURN(const Json candidates, json_get_or(json, "candidates", Json::array(), where));
  LS_ASSIGN_OR_RETURN(s.candidates, evaluations_from_json(candidates, where));
  if (json.contains("phase")) {
    LS_ASSIGN_OR_RETURN(s.phase, phase_state_from_json(json["phase"], where));
  }
  if (json.contains("ahead")) {
    LS_ASSIGN_OR_RETURN(s.ahead, ahead_samples_from_json(json["ahead"], where));
  }
  if (json.contains("rounds_ahead")) {
    LS_ASSIGN_OR_RETURN(s.rounds_ahead, rounds_ahead_from_json(json["rounds_ahead"], where));
  }
  LS_ASSIGN_OR_RETURN(const Json unfinished, json_get<Json>(json, "unfinished", where));
  LS_ASSIGN_OR_RETURN(s.unfinished, metrics_from_json(unfinished, where));
  return s;
}

}  // namespace longshot::loop
