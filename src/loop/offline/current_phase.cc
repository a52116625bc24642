#include "loop/offline/current_phase.h"

#include <fmt/format.h>

namespace longshot::loop {
namespace {

Json tables_of(const OfflinePhases& run, int64_t count) {
  Json tables = Json::array();
  for (int64_t i = 0; i < count; ++i) tables.push_back(run.phases[static_cast<size_t>(i)].settings);
  return tables;
}

}  // namespace

Json to_json(const CurrentPhase& phase, const OfflinePhases& run) {
  return {{"begun", phase.begun},
          {"first_step", phase.first_step},
          {"tables", tables_of(run, phase.begun)}};
}

Result<CurrentPhase> current_phase_from_json(const Json& state, const OfflinePhases& run,
                                             const std::string& where) {
  CurrentPhase phase;
  if (!state.contains("phase")) return phase;
  const Json& json = state["phase"];
  LS_ASSIGN_OR_RETURN(phase.begun, json_get<int64_t>(json, "begun", where));
  LS_ASSIGN_OR_RETURN(phase.first_step, json_get<int64_t>(json, "first_step", where));
  LS_ASSIGN_OR_RETURN(const Json tables, json_get<Json>(json, "tables", where));
  const auto count = static_cast<int64_t>(run.phases.size());
  if (phase.begun <= count && tables_of(run, phase.begun) == tables) return phase;
  return invalid_argument(
      fmt::format("{} was saved in phase {}; nothing was changed: its first {} [[phase]] tables "
                  "must be as they were: {}",
                  where, phase.begun, phase.begun, dump_json(tables)));
}

std::string files_key(size_t phase) {
  return fmt::format("data.train_files of phase {}", phase);
}

}  // namespace longshot::loop
