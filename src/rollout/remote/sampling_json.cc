#include "rollout/remote/sampling_json.h"

namespace longshot::rollout {
namespace {

constexpr const char* kWhere = "the options of a round";

}  // namespace

Json sampling_to_json(const EngineOptions& o) {
  const SamplingOptions& s = o.sampling;
  const RepetitionOptions& r = o.repetition;
  return {{"temperature", s.temperature},
          {"top_p", s.top_p},
          {"top_k", s.top_k},
          {"min_p", s.min_p},
          {"stop_tokens", s.stop_tokens},
          {"stop_strings", s.stop_strings},
          {"repetition",
           {{"enabled", r.enabled},
            {"max_period", r.max_period},
            {"min_repeats", r.min_repeats},
            {"min_tokens", r.min_tokens}}},
          {"speculation", name_of(o.speculation)}};
}

Result<EngineOptions> sampling_from_json(const Json& json) {
  EngineOptions o;
  SamplingOptions& s = o.sampling;
  LS_ASSIGN_OR_RETURN(s.temperature, json_get<double>(json, "temperature", kWhere));
  LS_ASSIGN_OR_RETURN(s.top_p, json_get<double>(json, "top_p", kWhere));
  LS_ASSIGN_OR_RETURN(s.top_k, json_get<int>(json, "top_k", kWhere));
  LS_ASSIGN_OR_RETURN(s.min_p, json_get<double>(json, "min_p", kWhere));
  LS_ASSIGN_OR_RETURN(s.stop_tokens,
                      json_get<std::vector<data::TokenId>>(json, "stop_tokens", kWhere));
  LS_ASSIGN_OR_RETURN(s.stop_strings,
                      json_get<std::vector<std::string>>(json, "stop_strings", kWhere));
  LS_ASSIGN_OR_RETURN(const Json repetition, json_get<Json>(json, "repetition", kWhere));
  RepetitionOptions& r = o.repetition;
  LS_ASSIGN_OR_RETURN(r.enabled, json_get<bool>(repetition, "enabled", kWhere));
  LS_ASSIGN_OR_RETURN(r.max_period, json_get<int>(repetition, "max_period", kWhere));
  LS_ASSIGN_OR_RETURN(r.min_repeats, json_get<int>(repetition, "min_repeats", kWhere));
  LS_ASSIGN_OR_RETURN(r.min_tokens, json_get<int>(repetition, "min_tokens", kWhere));
  LS_ASSIGN_OR_RETURN(const auto name, json_get<std::string>(json, "speculation", kWhere));
  const auto speculation = value_of<Speculation>(name);
  if (!speculation) return corrupt(std::string(kWhere) + ": unknown speculation '" + name + "'");
  o.speculation = *speculation;
  return o;
}

}  // namespace longshot::rollout
