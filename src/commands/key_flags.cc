#include "commands/key_flags.h"

#include <memory>

namespace longshot::commands {
namespace {

// As a person types it on the command line; "" for an empty list or string.
std::string typed(std::string toml) {
  if (toml == "[]") return "";
  const bool quoted = toml.size() > 1 && (toml.front() == '\'' || toml.front() == '"');
  return quoted ? toml.substr(1, toml.size() - 2) : toml;
}

// The word that the help of other flags has for the type of a key.
const char* type_word(const std::string& type) {
  return type == "integer" ? "INT" : type == "number" ? "FLOAT" : "TEXT";
}

}  // namespace

void add_key_flags(CLI::App& command, const Settings& settings, const std::vector<KeyFlag>& flags) {
  const auto shared = std::make_shared<const Settings>(settings);  // the flags outlive the caller's
  for (const auto& [flag, key] : flags) {
    const Settings::Description& description = settings.description(key);
    const auto set = [shared, flag, key](const CLI::results_t& words) {
      const Status status = shared->set(key, words, flag);
      if (!status.ok()) throw CLI::ValidationError(status.message());
      return true;
    };
    CLI::Option* option = command.add_option(flag, CLI::callback_t(set), description.help);
    option->type_name(type_word(description.type))->default_str(typed(description.default_text));
    if (description.type.starts_with("list")) option->expected(1)->take_all();
  }
}

}  // namespace longshot::commands
