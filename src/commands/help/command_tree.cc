#include "commands/help/command_tree.h"

#include "base/settings/settings.h"
#include "config/config.h"

namespace longshot::commands {
namespace {

OptionHelp help_of(const CLI::Option& option) {
  OptionHelp help;
  help.positional = option.get_positional();
  const auto add = [&](const std::string& name) {
    help.names += (help.names.empty() ? "" : ", ") + name;
  };
  if (help.positional) {
    add(option.get_name(true));
  } else {
    for (const std::string& name : option.get_snames()) add("-" + name);
    for (const std::string& name : option.get_lnames()) add("--" + name);
    if (!option.get_lnames().empty()) help.long_name = "--" + option.get_lnames().front();
    if (option.get_items_expected_max() > 0) help.value = option.get_type_name();
  }
  help.description = option.get_description();
  help.environment = option.get_envname();
  return help;
}

CommandHelp help_below(const CLI::App& app, std::vector<std::string> words) {
  words.push_back(app.get_name());
  CommandHelp help{std::move(words), app.get_description(), app.get_group(), {}, {}};
  for (const CLI::Option* option : app.get_options())
    if (!option->get_group().empty()) help.options.push_back(help_of(*option));
  for (const CLI::App* command : app.get_subcommands(nullptr))
    help.subcommands.push_back(help_below(*command, help.words));
  return help;
}

template <typename Config>
std::vector<KeyHelp> keys_in() {
  Config config;
  Settings settings;
  config::bind(settings, config);
  std::vector<KeyHelp> keys;
  for (const std::string& name : settings.keys()) {
    const Settings::Description& key = settings.description(name);
    keys.push_back({name, key.type, key.default_text, key.help});
  }
  return keys;
}

void flatten(const CommandHelp& command, std::vector<const CommandHelp*>& out) {
  out.push_back(&command);
  for (const CommandHelp& sub : command.subcommands) flatten(sub, out);
}

}  // namespace

CommandHelp help_of(const CLI::App& app) {
  return help_below(app, {});
}

std::vector<const CommandHelp*> flattened(const CommandHelp& command) {
  std::vector<const CommandHelp*> out;
  flatten(command, out);
  return out;
}

std::vector<KeyHelp> keys_of(const CommandHelp& command) {
  const std::string& name = command.words.back();
  if (command.words.size() != 2) return {};
  if (name == "train" || name == "trainer") return keys_in<config::TrainConfig>();
  if (name == "sft") return keys_in<config::SftConfig>();
  if (name == "rm") return keys_in<config::RmConfig>();
  if (name == "dpo") return keys_in<config::DpoConfig>();
  return {};
}

}  // namespace longshot::commands
