#pragma once
// The commands of the group "Make data"; commands/command.h says what such a function does.

#include <CLI/CLI.hpp>

namespace longshot::commands {

void add_data(CLI::App& app, int& exit_code);
void add_make_tests(CLI::App& app, int& exit_code);
void add_sample(CLI::App& app, int& exit_code);
void add_select(CLI::App& app, int& exit_code);
void add_curate(CLI::App& app, int& exit_code);

}  // namespace longshot::commands
