#include "base/settings/config_changes.h"

#include <toml++/toml.h>

#include <map>
#include <sstream>

namespace longshot {
namespace {

using Values = std::map<std::string, std::string>;

void flatten(const toml::table& table, const std::string& prefix, Values& values) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, key + ".", values);
      continue;
    }
    std::ostringstream text;
    // One line, regardless of its length.
    node.visit([&](const auto& value) { text << toml::json_formatter(value); });
    std::string line = text.str();
    for (size_t at = 0; (at = line.find('\n', at)) != std::string::npos;) {
      const size_t end = line.find_first_not_of(" \n", at);
      line.replace(at, (end == std::string::npos ? line.size() : end) - at, " ");
    }
    values[key] = line;
  }
}

Result<Values> parse(const std::string& text) {
  try {
    Values values;
    flatten(toml::parse(text), "", values);
    return values;
  } catch (const toml::parse_error& error) {
    return invalid_argument(std::string(error.description()));
  }
}

}  // namespace

Result<std::vector<ConfigChange>> config_changes(const std::string& before,
                                                 const std::string& now) {
  LS_ASSIGN_OR_RETURN(const Values old_values, parse(before));
  LS_ASSIGN_OR_RETURN(const Values new_values, parse(now));
  std::map<std::string, ConfigChange> changes;
  for (const auto& [key, value] : old_values) changes[key] = {key, value, std::nullopt};
  for (const auto& [key, value] : new_values) {
    ConfigChange& change = changes[key];
    change.key = key;
    change.now = value;
  }
  std::vector<ConfigChange> different;
  for (auto& [key, change] : changes) {
    if (change.before != change.now) different.push_back(std::move(change));
  }
  return different;
}

std::string to_text(const ConfigChange& change) {
  return change.key + " = " + change.now.value_or("nothing") + " (was " +
         change.before.value_or("nothing") + ")";
}

}  // namespace longshot
