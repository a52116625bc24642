#include "config/phases.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text/nearest.h"

namespace longshot::config {
namespace {

// Adds the values of a table to `out` under their dotted keys.
void flatten(const Json& table, const std::string& prefix, Json& out) {
  for (const auto& [name, value] : table.items()) {
    value.is_object() ? flatten(value, prefix + name + ".", out)
                      : static_cast<void>(out[prefix + name] = value);
  }
}

Result<int64_t> count_of(const Json& value, const std::string& where) {
  if (value.is_number_integer() && value.get<int64_t>() >= 1) return value.get<int64_t>();
  return invalid_argument(where + " must be a whole number of at least 1");
}

Result<std::string> text_of(const Json& value, const std::string& where) {
  if (value.is_string()) return value.get<std::string>();
  return invalid_argument(where + " must be a string");
}

// Reads a key that says when the phase begins, or its name. False if it is another key.
Result<bool> read_own_key(const std::string& key, const Json& value, PhaseStart start,
                          const std::string& where, Phase& phase) {
  if (key == "name") {
    LS_ASSIGN_OR_RETURN(const std::string name, text_of(value, where));
    phase.name += fmt::format(" ({})", name);
    return true;
  }
  if (key != "after" && key != "when" && key != "times") return false;
  if (start == PhaseStart::one_by_one) {
    return invalid_argument(where +
                            ": a phase of this command begins where the steps of the one before "
                            "end; trainer.total_steps and trainer.total_epochs set them");
  }
  if (key == "when") {
    LS_ASSIGN_OR_RETURN(const std::string text, text_of(value, where));
    LS_ASSIGN_OR_RETURN(phase.when, parse_condition(text, where));
    return true;
  }
  LS_ASSIGN_OR_RETURN((key == "after" ? phase.after : phase.times), count_of(value, where));
  return true;
}

Status unknown_key(const std::string& key, const std::string& where,
                   const std::set<std::string>& allowed) {
  const auto near = nearest_word(key, {allowed.begin(), allowed.end()});
  return invalid_argument(fmt::format("{}: a phase cannot change {}{}; the keys that it can are {}",
                                      where, key, near ? "; did you mean " + *near + "?" : "",
                                      fmt::join(allowed, ", ")));
}

Result<Phase> parse_phase(const Json& table, size_t number, PhaseStart start,
                          const std::set<std::string>& allowed) {
  const std::string where = fmt::format("phase {}", number);
  if (!table.is_object()) return invalid_argument(where + " must be a table: [[phase]]");
  Phase phase{.name = where, .when = {}, .settings = Json::object()};
  Json keys = Json::object();
  flatten(table, "", keys);
  for (const auto& [key, value] : keys.items()) {
    LS_ASSIGN_OR_RETURN(const bool own, read_own_key(key, value, start, where + ": " + key, phase));
    if (own) continue;
    if (!allowed.contains(key)) return unknown_key(key, where, allowed);
    phase.settings[key] = value;
  }
  if (phase.settings.empty()) return invalid_argument(where + " changes no setting");
  if (start == PhaseStart::one_by_one) return phase;
  if (phase.after == 0 && !phase.when) {
    return invalid_argument(where +
                            " never begins: set `after` to a number of iterations, or `when` to a "
                            "condition such as \"val/accuracy >= 0.6\"");
  }
  if (phase.times > 1 && !phase.when) return invalid_argument(where + ": times needs `when`");
  return phase;
}

}  // namespace

std::string start_text(const Phase& phase) {
  std::string text = phase.after > 0 ? fmt::format("after iteration {}", phase.after) : "";
  if (!phase.when) return text;
  if (!text.empty()) text += " and ";
  text += fmt::format("when {} {} {}", phase.when->metric, name_of(phase.when->comparison),
                      phase.when->value);
  return phase.times > 1 ? text + fmt::format(" {} times in a row", phase.times) : text;
}

std::string settings_text(const Phase& phase) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : phase.settings.items())
    parts.push_back(key + " = " + dump_json(value));
  return fmt::format("{}", fmt::join(parts, ", "));
}

Result<std::vector<Phase>> parse_phases(const Json& list, PhaseStart start,
                                        const std::set<std::string>& allowed) {
  std::vector<Phase> phases;
  int64_t after = 0;
  for (const Json& table : list) {
    LS_ASSIGN_OR_RETURN(Phase phase, parse_phase(table, phases.size() + 1, start, allowed));
    if (phase.after > 0 && phase.after <= after) {
      return invalid_argument(fmt::format(
          "phase {}: after = {}, but an earlier phase has after = {}: phases begin in their order",
          phases.size() + 1, phase.after, after));
    }
    after = std::max(after, phase.after);
    phases.push_back(std::move(phase));
  }
  return phases;
}

Status apply_phases(const std::vector<Phase>& phases, size_t count, Settings& settings) {
  for (size_t i = 0; i < count; ++i) {
    for (const auto& [key, value] : phases[i].settings.items())
      LS_RETURN_IF_ERROR(settings.set_json(key, value, phases[i].name));
  }
  return ok_status();
}

Json begun_tables(const std::vector<Phase>& phases, int64_t count) {
  Json tables = Json::array();
  for (int64_t i = 0; i < count; ++i) tables.push_back(phases[static_cast<size_t>(i)].settings);
  return tables;
}

Status check_begun_tables(const std::vector<Phase>& phases, int64_t count, const Json& saved,
                          const std::string& checkpoint) {
  if (count > static_cast<int64_t>(phases.size())) {
    return invalid_argument(fmt::format(
        "{} was saved in phase {}, but the configuration has {}: put its [[phase]] tables back",
        checkpoint, count, phases.size()));
  }
  if (saved.is_null() || begun_tables(phases, count) == saved) return ok_status();
  return invalid_argument(fmt::format(
      "{} was saved in phase {}; nothing was changed: its first {} [[phase]] tables must be as "
      "they were: {}",
      checkpoint, count, count, dump_json(saved)));
}

}  // namespace longshot::config
