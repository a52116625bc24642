#include "loop/cluster/settings.h"

namespace longshot::loop {
namespace {

constexpr const char* kWhere = "the coordinator's settings";

Result<NumberFormat> format_from(const Json& json, const char* key) {
  LS_ASSIGN_OR_RETURN(const auto name, json_get<std::string>(json, key, kWhere));
  const auto format = value_of<NumberFormat>(name);
  if (!format) return corrupt(std::string(kWhere) + ": unknown number format '" + name + "'");
  return *format;
}

}  // namespace

Json to_json(const WorkerSettings& settings) {
  const rollout::RunnerLimits& l = settings.limits;
  return {
      {"run", settings.run},      {"max_running", l.max_running}, {"max_sequence", l.max_sequence},
      {"kv_blocks", l.kv_blocks}, {"max_rows", l.max_rows},       {"weights", name_of(l.weights)},
      {"kv", name_of(l.kv)}};
}

Result<WorkerSettings> worker_settings_from_json(const Json& json) {
  WorkerSettings out;
  LS_ASSIGN_OR_RETURN(out.run, json_get<std::string>(json, "run", kWhere));
  rollout::RunnerLimits& l = out.limits;
  LS_ASSIGN_OR_RETURN(l.max_running, json_get<int>(json, "max_running", kWhere));
  LS_ASSIGN_OR_RETURN(l.max_sequence, json_get<int>(json, "max_sequence", kWhere));
  LS_ASSIGN_OR_RETURN(l.kv_blocks, json_get<int>(json, "kv_blocks", kWhere));
  LS_ASSIGN_OR_RETURN(l.max_rows, json_get<int>(json, "max_rows", kWhere));
  LS_ASSIGN_OR_RETURN(l.weights, format_from(json, "weights"));
  LS_ASSIGN_OR_RETURN(l.kv, format_from(json, "kv"));
  return out;
}

Json to_json(const WeightsSource& source) {
  return {{"epoch", source.id.epoch},
          {"version", source.id.version},
          {"url", source.url},
          {"fingerprint", source.fingerprint}};
}

Result<WeightsSource> weights_source_from_json(const Json& json) {
  WeightsSource out;
  LS_ASSIGN_OR_RETURN(out.id.epoch, json_get<int64_t>(json, "epoch", kWhere));
  LS_ASSIGN_OR_RETURN(out.id.version, json_get<int64_t>(json, "version", kWhere));
  LS_ASSIGN_OR_RETURN(out.url, json_get<std::string>(json, "url", kWhere));
  LS_ASSIGN_OR_RETURN(out.fingerprint, json_get<uint64_t>(json, "fingerprint", kWhere));
  return out;
}

Json to_json(const Coordinator& c) {
  return {{"address", c.address},
          {"name", c.name},
          {"url", c.url},
          {"fingerprint", c.fingerprint},
          {"settings", to_json(c.settings)}};
}

Result<Coordinator> coordinator_from_json(const Json& json) {
  Coordinator out;
  LS_ASSIGN_OR_RETURN(out.address, json_get<std::string>(json, "address", kAddress));
  LS_ASSIGN_OR_RETURN(out.name, json_get<std::string>(json, "name", kAddress));
  LS_ASSIGN_OR_RETURN(out.url, json_get<std::string>(json, "url", kAddress));
  LS_ASSIGN_OR_RETURN(out.fingerprint, json_get<std::string>(json, "fingerprint", kAddress));
  LS_ASSIGN_OR_RETURN(const Json settings, json_get<Json>(json, "settings", kAddress));
  LS_ASSIGN_OR_RETURN(out.settings, worker_settings_from_json(settings));
  return out;
}

}  // namespace longshot::loop
