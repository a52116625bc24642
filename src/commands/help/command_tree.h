#pragma once
// What the help of a command consists of, read from CLI11's objects.

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace longshot::commands {

struct OptionHelp {
  std::string names;      // "-h, --help", or the name of a positional
  std::string long_name;  // "--help"; empty for positionals and options with a short name only
  std::string value;      // "TEXT"; empty for flags
  std::string description;
  std::string environment;  // the variable that also sets it
  bool positional = false;
};

struct CommandHelp {
  std::vector<std::string> words;  // {"longshot", "data", "make"}
  std::string description, group;
  std::vector<OptionHelp> options;
  std::vector<CommandHelp> subcommands;
};

// The program's commands with their options and subcommands, in the order of --help.
CommandHelp help_of(const CLI::App& app);

// The command and all below it, each before its subcommands.
std::vector<const CommandHelp*> flattened(const CommandHelp& command);

struct KeyHelp {
  std::string name, type, default_text, description;
};

// The keys that the configuration file and the KEY=VALUE arguments of a command may set; empty for
// commands without a configuration file.
std::vector<KeyHelp> keys_of(const CommandHelp& command);

}  // namespace longshot::commands
