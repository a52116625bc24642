#pragma once
// What all commands share. A command is one function, declared in the header of its group
// (commands/train/train.h ...), that adds its options to the app, and a callback that sets
// `exit_code`. Exit codes: 0 done, 1 failure of the program, 2 bad input (message on stderr), 130
// stopped by Ctrl-C with the state saved.

#include <functional>

#include "base/status.h"

namespace longshot::commands {

// What a command takes as a model: everything that model::find_model() finds.
inline constexpr const char* kModelHelp =
    "model, run, checkpoint or adapter folder, or a .gguf file";

// Runs the work of a command and returns the exit code. Prints "longshot: <message>" to stderr if
// the work fails, including by an exception of a library, such as lack of memory.
int finish(const std::function<Status()>& work);

}  // namespace longshot::commands
