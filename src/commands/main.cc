// longshot: a table of subcommands.

#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "base/os/stop.h"
#include "base/text/nearest.h"
#include "commands/cluster/cluster.h"
#include "commands/command.h"
#include "commands/data/data.h"
#include "commands/help/help.h"
#include "commands/judge/judge.h"
#include "commands/model/model.h"
#include "commands/train/train.h"

namespace {

using AddCommand = void (*)(CLI::App& app, int& exit_code);
using namespace longshot::commands;  // NOLINT: for the table below

struct Group {
  const char* name;
  std::vector<AddCommand> commands;
};

// In the order of --help.
const std::vector<Group>& groups() {
  static const std::vector<Group> table = {
      {"Train", {add_init, add_train, add_sft, add_dpo, add_rm, add_doctor, add_report, add_track}},
      {"Many machines", {add_trainer, add_worker, add_top, add_weights, add_certificates}},
      {"Use a model",
       {add_generate, add_chat, add_serve, add_logprobs, add_tokenize, add_convert, add_merge}},
      {"Judge", {add_eval, add_compare, add_grade, add_rm_eval, add_sandbox}},
      {"Make data", {add_data, add_curate, add_sample, add_select, add_make_tests}},
      {"Help", {add_manual, add_completion}},
  };
  return table;
}

void add_commands(CLI::App& app, int& exit_code) {
  for (const Group& group : groups()) {
    for (const AddCommand add : group.commands) {
      add(app, exit_code);
      app.get_subcommands(nullptr).back()->group(group.name);
    }
  }
}

const CLI::App* find(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

int refuse(const CLI::App& app, const std::string& name) {
  std::vector<std::string> names = {"help"};
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  const auto nearest = longshot::nearest_word(name, names);
  const std::string hint =
      nearest ? "did you mean " + *nearest + "?" : "`longshot help` lists the commands";
  std::fprintf(stderr, "longshot: no command '%s'; %s\n", name.c_str(), hint.c_str());
  return 2;
}

// Handles `longshot help [COMMAND [SUBCOMMAND]]` and a call without arguments.
int help(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* shown = &app;
  std::string parents;
  for (const std::string& word : words) {
    const CLI::App* next = find(*shown, word);
    if (next == nullptr) return refuse(*shown, word);
    parents += (parents.empty() ? "" : " ") + shown->get_name();
    shown = next;
  }
  std::fputs(shown->help(parents).c_str(), stdout);
  return 0;
}

// The last resort for an exception on any thread, such as lack of memory.
[[noreturn]] void on_terminate() {
  finish([]() -> longshot::Status {
    if (const auto error = std::current_exception()) std::rethrow_exception(error);
    return longshot::internal_error("terminated without an exception");
  });
  std::_Exit(1);
}

int run(int argc, char** argv) {
  CLI::App app{"longshot trains language models to reason by reinforcement learning.", "longshot"};
  app.set_version_flag("--version", LONGSHOT_VERSION);
  app.require_subcommand(1);
  // Commands inherit it, so that every error begins with the program's name.
  app.failure_message([](const CLI::App* command, const CLI::Error& error) {
    return "longshot: " + CLI::FailureMessage::simple(command, error);
  });
  app.footer("`longshot help COMMAND` or `longshot COMMAND --help` lists a command's options.");
  int exit_code = 0;
  add_commands(app, exit_code);
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty()) return help(app, {});
  if (words[0] == "help") return help(app, {words.begin() + 1, words.end()});
  if (!words[0].starts_with('-') && find(app, words[0]) == nullptr) return refuse(app, words[0]);
  std::set_terminate(on_terminate);
  longshot::install_stop_handler();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exit_code;
}

// Whoever reads standard output has enough, as `head`, which is not an error.
bool reader_has_left() {
  pollfd output{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return ::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

}  // namespace

int main(int argc, char** argv) {
  int exit_code = run(argc, argv);
  // A full disk behind standard output may show only now.
  if ((std::fflush(stdout) != 0 || std::ferror(stdout) != 0) && !reader_has_left()) {
    std::fputs("longshot: standard output could not be written\n", stderr);
    if (exit_code == 0) exit_code = 1;
  }
  // Leaves out the destructors of libtorch's operators, a fifth of the time of a short command.
  std::_Exit(exit_code);
}
