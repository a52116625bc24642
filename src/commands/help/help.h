#pragma once
// The commands of the group "Help"; commands/command.h says what such a function does. They read
// the options of the other commands from the app, so they are added last.

#include <CLI/CLI.hpp>

namespace longshot::commands {

void add_manual(CLI::App& app, int& exit_code);
void add_completion(CLI::App& app, int& exit_code);

}  // namespace longshot::commands
