#pragma once
// The commands of the group "Use a model"; commands/command.h says what such a function does.

#include <CLI/CLI.hpp>

namespace longshot::commands {

void add_generate(CLI::App& app, int& exit_code);
void add_chat(CLI::App& app, int& exit_code);
void add_serve(CLI::App& app, int& exit_code);
void add_logprobs(CLI::App& app, int& exit_code);
void add_tokenize(CLI::App& app, int& exit_code);
void add_convert(CLI::App& app, int& exit_code);
void add_merge(CLI::App& app, int& exit_code);

}  // namespace longshot::commands
