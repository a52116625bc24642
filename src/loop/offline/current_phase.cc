#include "loop/offline/current_phase.h"

#include <fmt/format.h>

namespace longshot::loop {

Json to_json(const CurrentPhase& phase, const OfflinePhases& run) {
  return {{"begun", phase.begun},
          {"first_step", phase.first_step},
          {"tables", config::begun_tables(run.phases, phase.begun)}};
}

Result<CurrentPhase> current_phase_from_json(const Json& state, const OfflinePhases& run,
                                             const std::string& where) {
  CurrentPhase phase;
  if (!state.contains("phase")) return phase;
  const Json& json = state["phase"];
  LS_ASSIGN_OR_RETURN(phase.begun, json_get<int64_t>(json, "begun", where));
  LS_ASSIGN_OR_RETURN(phase.first_step, json_get<int64_t>(json, "first_step", where));
  LS_ASSIGN_OR_RETURN(const Json tables, json_get<Json>(json, "tables", where));
  LS_RETURN_IF_ERROR(config::check_begun_tables(run.phases, phase.begun, tables, where));
  return phase;
}

std::string files_key(size_t phase) {
  return fmt::format("data.train_files of phase {}", phase);
}

}  // namespace longshot::loop
