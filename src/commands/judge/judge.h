#pragma once
// The commands of the group "Judge"; commands/command.h says what such a function does.

#include <CLI/CLI.hpp>

namespace longshot::commands {

void add_eval(CLI::App& app, int& exit_code);
void add_compare(CLI::App& app, int& exit_code);
void add_grade(CLI::App& app, int& exit_code);
void add_rm_eval(CLI::App& app, int& exit_code);
void add_sandbox(CLI::App& app, int& exit_code);

}  // namespace longshot::commands
