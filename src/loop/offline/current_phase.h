#pragma once
// Where an offline run is in its [[phase]] tables, which a checkpoint keeps.

#include <cstdint>
#include <string>

#include "base/json.h"
#include "base/status.h"
#include "loop/offline/offline_run.h"

namespace longshot::loop {

struct CurrentPhase {
  int64_t begun = 0;       // phases that have begun; 0: the configuration as it is
  int64_t first_step = 0;  // steps before it
};

Json to_json(const CurrentPhase& phase, const OfflinePhases& run);
// The phase in which a checkpoint with this state was saved; the beginning for a state without
// phases. invalid_argument, with `where` as its subject, if the tables of the phases that have
// begun have changed since: the place in their rows depends on them.
Result<CurrentPhase> current_phase_from_json(const Json& state, const OfflinePhases& run,
                                             const std::string& where);

// The key under which a checkpoint has the fingerprint of a phase's own data.train_files.
std::string files_key(size_t phase);

}  // namespace longshot::loop
