#pragma once
// Phases of a run: `[[phase]]` tables, each with settings that hold from then on. A phase keeps the
// settings of the phases before it that it does not change. docs/phases.md explains them.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/settings/settings.h"
#include "config/condition.h"

namespace longshot::config {

struct Phase {
  std::string name;  // for messages: "phase 2", or "phase 2 (hard)" if the table has a name
  // When it begins, after the phase before it has begun: at the first iteration boundary that all
  // of these allow.
  int64_t after = 0;              // not before this many iterations are finished
  std::optional<Condition> when;  // on the metrics of a finished iteration
  int64_t times = 1;              // iterations in a row that report the metric and fulfil `when`
  Json settings;                  // {dotted key: value}
};

struct Phases {
  Json list = Json::array();  // as written
  std::vector<Phase> phases;  // what it says
};

// How the phases of a kind of run begin.
enum class PhaseStart {
  triggered,   // by `after` or `when`
  one_by_one,  // where the steps of the phase before end
};

// "after iteration 24", "when val/accuracy >= 0.6".
std::string start_text(const Phase& phase);
// "optim.lr = 1e-05, reward.length_weight = 0.3"
std::string settings_text(const Phase& phase);

// Reads the tables of a `phase` key. `allowed`: the keys that a phase may change. Errors name the
// phase and the key.
Result<std::vector<Phase>> parse_phases(const Json& list, PhaseStart start,
                                        const std::set<std::string>& allowed);

// Changes the keys bound to `settings` to their values in phase `count`: those of the first `count`
// phases, one after the other. Errors name the phase.
Status apply_phases(const std::vector<Phase>& phases, size_t count, Settings& settings);

// The settings of the first `count` phases, which must exist. A checkpoint keeps them.
Json begun_tables(const std::vector<Phase>& phases, int64_t count);
// What a run that continues needs: the first `count` phases exist and are as they were when
// `checkpoint` was saved. `saved`: begun_tables() of then; null: not recorded, so not compared.
Status check_begun_tables(const std::vector<Phase>& phases, int64_t count, const Json& saved,
                          const std::string& checkpoint);

}  // namespace longshot::config
