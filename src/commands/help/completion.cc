// longshot completion: scripts with which bash, zsh and fish complete commands, options, keys and
// file names.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "commands/command.h"
#include "commands/help/command_tree.h"
#include "commands/help/help.h"

namespace longshot::commands {
namespace {

std::string join(const std::vector<std::string>& words, const char* between) {
  return fmt::format("{}", fmt::join(words, between));
}

// Text inside single quotes of a shell.
std::string quoted(const std::string& text, const char* quote_mark) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string(quote_mark) : std::string(1, c);
  return out + "'";
}

std::vector<std::string> options_of(const CommandHelp& command) {
  std::vector<std::string> names;
  for (const OptionHelp& option : command.options)
    if (!option.long_name.empty()) names.push_back(option.long_name);
  return names;
}

std::vector<std::string> subcommands_of(const CommandHelp& command) {
  std::vector<std::string> names;
  for (const CommandHelp& sub : command.subcommands) names.push_back(sub.words.back());
  if (command.words.size() == 1) names.emplace_back("help");
  return names;
}

std::vector<std::string> key_names_of(const CommandHelp& command) {
  std::vector<std::string> names;
  for (const KeyHelp& key : keys_of(command)) names.push_back(key.name + "=");
  return names;
}

// The branches of a case statement that finds the command on the line, word by word.
std::string steps(const CommandHelp& program) {
  std::vector<std::string> words;
  for (const CommandHelp* command : flattened(program))
    if (command->words.size() > 1) words.push_back('"' + join(command->words, " ") + '"');
  return join(words, " | ");
}

std::string bash(const CommandHelp& program) {
  std::string out =
      fmt::format(R"(# Completion of longshot in bash: source <(longshot completion bash)
_longshot() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} command=longshot commands= options= keys= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command ${{COMP_WORDS[i]}}" in
      {}) command="$command ${{COMP_WORDS[i]}}" ;;
    esac
  done
  case "$command" in
)",
                  steps(program));
  for (const CommandHelp* command : flattened(program))
    out += fmt::format("    \"{}\") commands='{}' options='{}' keys='{}' ;;\n",
                       join(command->words, " "), join(subcommands_of(*command), " "),
                       join(options_of(*command), " "), join(key_names_of(*command), " "));
  return out + R"(  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
  elif [[ -n $commands ]]; then
    COMPREPLY=($(compgen -W "$commands" -- "$word"))
  else
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    [[ -z $word ]] || COMPREPLY+=($(compgen -W "$keys" -- "$word"))
    [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
  fi
}
complete -F _longshot longshot
)";
}

// Names with their descriptions, as _describe of zsh wants them.
std::string described(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::vector<std::string> out;
  for (const auto& [name, description] : entries)
    out.push_back(quoted(name + ":" + description, "'\\''"));
  return join(out, " ");
}

std::string zsh_branch(const CommandHelp& command) {
  std::vector<std::pair<std::string, std::string>> commands, options;
  for (const CommandHelp& sub : command.subcommands)
    commands.emplace_back(sub.words.back(), sub.description);
  if (command.words.size() == 1) commands.emplace_back("help", "Show the help of a command");
  for (const OptionHelp& option : command.options)
    if (!option.long_name.empty()) options.emplace_back(option.long_name, option.description);
  return fmt::format("    \"{}\") commands=({}) options=({}) keys=({}) ;;\n",
                     join(command.words, " "), described(commands), described(options),
                     join(key_names_of(command), " "));
}

std::string zsh(const CommandHelp& program) {
  std::string out = fmt::format(R"(#compdef longshot
# Completion of longshot in zsh: save as _longshot in a folder of $fpath.
_longshot() {{
  local command=longshot i
  local -a commands options keys
  for ((i = 2; i < CURRENT; i++)); do
    case "$command $words[i]" in
      {}) command="$command $words[i]" ;;
    esac
  done
  case "$command" in
)",
                                steps(program));
  for (const CommandHelp* command : flattened(program)) out += zsh_branch(*command);
  return out + R"(  esac
  if [[ $words[CURRENT] == -* ]]; then
    _describe option options
  elif (( $#commands )); then
    _describe command commands
  else
    (( ! $#keys )) || compadd -S '' -a keys
    _files
  fi
}
if [[ $funcstack[1] == _longshot ]]; then _longshot "$@"; else compdef _longshot longshot; fi
)";
}

std::string fish(const CommandHelp& program) {
  std::string out = "# Completion of longshot in fish: longshot completion fish | source\n";
  const auto complete = [&](const std::string& condition, const std::string& rest,
                            const std::string& description) {
    out += fmt::format("complete -c longshot -n '{}' {} -d {}\n", condition, rest,
                       quoted(description, "\\'"));
  };
  for (const CommandHelp* command : flattened(program)) {
    std::vector<std::string> seen;
    for (size_t i = 1; i < command->words.size(); ++i)
      seen.push_back("__fish_seen_subcommand_from " + command->words[i]);
    const std::string here = seen.empty() ? "__fish_use_subcommand" : join(seen, "; and ");
    std::string next = here;  // where its own subcommands are completed
    if (!seen.empty() && !command->subcommands.empty())
      next += "; and not __fish_seen_subcommand_from " + join(subcommands_of(*command), " ");
    for (const CommandHelp& sub : command->subcommands)
      complete(next, "-f -a " + sub.words.back(), sub.description);
    for (const OptionHelp& option : command->options)
      if (!option.long_name.empty())
        complete(here, "-l " + option.long_name.substr(2) + (option.value.empty() ? "" : " -r"),
                 option.description);
    for (const KeyHelp& key : keys_of(*command))
      complete(here, "-a " + key.name + "=", key.description);
  }
  return out;
}

}  // namespace

void add_completion(CLI::App& app, int& exit_code) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "completion", "Write a script with which a shell completes longshot's commands");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&app, &exit_code, shell] {
    exit_code = finish([&] {
      const CommandHelp program = help_of(app);
      const std::string script = *shell == "bash"  ? bash(program)
                                 : *shell == "zsh" ? zsh(program)
                                                   : fish(program);
      std::fputs(script.c_str(), stdout);
      return ok_status();
    });
  });
}

}  // namespace longshot::commands
