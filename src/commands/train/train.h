#pragma once
// The commands of the group "Train"; commands/command.h says what such a function does.

#include <CLI/CLI.hpp>

namespace longshot::commands {

void add_init(CLI::App& app, int& exit_code);
void add_train(CLI::App& app, int& exit_code);
void add_trainer(CLI::App& app, int& exit_code);
void add_sft(CLI::App& app, int& exit_code);
void add_rm(CLI::App& app, int& exit_code);
void add_dpo(CLI::App& app, int& exit_code);
void add_doctor(CLI::App& app, int& exit_code);
void add_track(CLI::App& app, int& exit_code);
void add_report(CLI::App& app, int& exit_code);

}  // namespace longshot::commands
