// longshot: a table of subcommands.

#include <CLI/CLI.hpp>
#include <vector>

#include "base/stop.h"
#include "commands/command.h"

namespace {

using AddCommand = void (*)(CLI::App& app, int& exit_code);
using namespace longshot::commands;  // NOLINT: the table below is the whole file

// In the order --help lists them.
const std::vector<AddCommand>& commands() {
  static const std::vector<AddCommand> table = {
      add_sft,        add_train,  add_eval,    add_rm,       add_rm_eval,  add_generate,
      add_chat,       add_serve,  add_sandbox, add_logprobs, add_tokenize, add_grade,
      add_make_tests, add_report, add_convert, add_data,     add_doctor,
  };
  return table;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"longshot: trains language models to reason by reinforcement learning"};
  app.set_version_flag("--version", LONGSHOT_VERSION);
  app.require_subcommand(1);
  int exit_code = 0;
  for (const AddCommand add : commands()) add(app, exit_code);
  longshot::install_stop_handler();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exit_code;
}
