// longshot manual: the program's manual pages (man 7 groff_man), one for each command.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/os/fs.h"
#include "commands/command.h"
#include "commands/help/command_tree.h"
#include "commands/help/help.h"

namespace longshot::commands {
namespace {

// Text as roff: hyphens that can be copied, and no line that starts a request.
std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
      out += std::string("\\&") + c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string join(const std::vector<std::string>& words, const char* between) {
  return fmt::format("{}", fmt::join(words, between));
}

std::string synopsis(const CommandHelp& command) {
  std::string out = ".B " + roff(join(command.words, " ")) + "\n[OPTIONS]";
  if (!command.subcommands.empty()) out += " COMMAND";
  for (const OptionHelp& option : command.options)
    if (option.positional) out += " [" + roff(option.names) + "]";
  return out + "\n";
}

std::string options_text(const CommandHelp& command) {
  std::string out = ".SH OPTIONS\n";
  for (const OptionHelp& option : command.options) {
    out += ".TP\n.B " + roff(option.names);
    if (!option.value.empty()) out += " \\fI" + roff(option.value) + "\\fR";
    out += "\n" + roff(option.description) + "\n";
    if (!option.environment.empty())
      out += ".br\nThe environment variable " + roff(option.environment) + " sets it too.\n";
  }
  return out;
}

// The subcommands, under a heading for each of their groups.
std::string commands_text(const CommandHelp& command) {
  std::string out, group;
  for (const CommandHelp& sub : command.subcommands) {
    if (out.empty()) out = ".SH COMMANDS\n";
    if (sub.group != group && sub.group != "Subcommands") out += ".SS " + roff(sub.group) + "\n";
    group = sub.group;
    out += ".TP\n.BR " + roff(join(sub.words, "-")) + " (1)\n" + roff(sub.description) + "\n";
  }
  return out;
}

std::string keys_text(const CommandHelp& command) {
  std::string out;
  for (const KeyHelp& key : keys_of(command)) {
    if (out.empty())
      out = ".SH KEYS\nThe configuration file and the arguments KEY=VALUE may set these keys.\n";
    out += ".TP\n.B " + roff(key.name) + "\n" + roff(key.type);
    if (!key.default_text.empty()) out += ", default " + roff(key.default_text);
    out += "\n.br\n" + roff(key.description) + "\n";
  }
  return out;
}

std::string page(const CommandHelp& command) {
  const std::string name = join(command.words, "-");
  std::string out = fmt::format(".TH {} 1 \"\" \"longshot {}\"\n", roff(name), LONGSHOT_VERSION);
  out += ".SH NAME\n" + roff(name) + " \\- " + roff(command.description) + "\n";
  out += ".SH SYNOPSIS\n" + synopsis(command) + commands_text(command) + options_text(command) +
         keys_text(command);
  out +=
      ".SH EXIT STATUS\n0: done. 1: the program failed. 2: bad input; the message names it. 130: "
      "stopped by\nCtrl\\-C with the state saved.\n";
  if (command.words.size() > 1) {
    const std::vector<std::string> above(command.words.begin(), command.words.end() - 1);
    out += ".SH SEE ALSO\n.BR " + roff(join(above, "-")) + " (1)\n";
  }
  return out;
}

Status write_pages(const CommandHelp& program, const std::string& directory) {
  LS_RETURN_IF_ERROR(make_directories(directory));
  for (const CommandHelp* command : flattened(program)) {
    const std::string file = directory + "/" + join(command->words, "-") + ".1";
    LS_RETURN_IF_ERROR(write_file_atomic(file, page(*command)));
  }
  return ok_status();
}

Result<CommandHelp> find(const CommandHelp& program, const std::vector<std::string>& words) {
  const CommandHelp* found = &program;
  for (const std::string& word : words) {
    const auto sub = std::ranges::find_if(
        found->subcommands, [&](const CommandHelp& one) { return one.words.back() == word; });
    if (sub == found->subcommands.end())
      return invalid_argument(
          fmt::format("'{}' has no command '{}'; `longshot help` lists the commands",
                      join(found->words, " "), word));
    found = &*sub;
  }
  return *found;
}

}  // namespace

void add_manual(CLI::App& app, int& exit_code) {
  struct Arguments {
    std::vector<std::string> words;
    std::string directory;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("manual", "Write manual pages");
  command->add_option("command", arguments->words,
                      "the command whose page is printed (longshot manual train | man -l -)");
  command->add_option("--out", arguments->directory,
                      "a folder that gets the pages of all commands, instead of one page printed");
  command->callback([&app, &exit_code, arguments] {
    exit_code = finish([&]() -> Status {
      const CommandHelp program = help_of(app);
      LS_ASSIGN_OR_RETURN(const CommandHelp chosen, find(program, arguments->words));
      if (arguments->directory.empty()) {
        std::fputs(page(chosen).c_str(), stdout);
        return ok_status();
      }
      return write_pages(chosen, arguments->directory);
    });
  });
}

}  // namespace longshot::commands
