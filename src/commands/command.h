#pragma once
// Each subcommand is one function that adds its options to the app, and a callback that sets
// `exit_code`. Exit codes: 0 done, 1 failure of the program, 2 bad input (message on stderr), 130
// stopped by Ctrl-C with the state saved.

#include <CLI/CLI.hpp>
#include <functional>

#include "base/status.h"

namespace longshot::commands {

void add_sft(CLI::App& app, int& exit_code);
void add_train(CLI::App& app, int& exit_code);
void add_rm(CLI::App& app, int& exit_code);
void add_rm_eval(CLI::App& app, int& exit_code);
void add_eval(CLI::App& app, int& exit_code);
void add_generate(CLI::App& app, int& exit_code);
void add_chat(CLI::App& app, int& exit_code);
void add_serve(CLI::App& app, int& exit_code);
void add_sandbox(CLI::App& app, int& exit_code);
void add_logprobs(CLI::App& app, int& exit_code);
void add_tokenize(CLI::App& app, int& exit_code);
void add_make_tests(CLI::App& app, int& exit_code);
void add_grade(CLI::App& app, int& exit_code);
void add_report(CLI::App& app, int& exit_code);
void add_convert(CLI::App& app, int& exit_code);
void add_data(CLI::App& app, int& exit_code);
void add_doctor(CLI::App& app, int& exit_code);

// Runs the work of a command and returns the exit code. Prints "longshot: <message>" to stderr if
// the work fails, including by an exception of a library, such as lack of memory.
int finish(const std::function<Status()>& work);

}  // namespace longshot::commands
