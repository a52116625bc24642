#pragma once
// The commands of the group "Many machines"; commands/command.h says what such a function does.

#include <CLI/CLI.hpp>

namespace longshot::commands {

// The environment variable that launchers set for every process of a run; --cluster overrides it.
constexpr const char* kClusterVariable = "LONGSHOT_CLUSTER";

void add_worker(CLI::App& app, int& exit_code);
void add_top(CLI::App& app, int& exit_code);
void add_weights(CLI::App& app, int& exit_code);
void add_certificates(CLI::App& app, int& exit_code);

}  // namespace longshot::commands
