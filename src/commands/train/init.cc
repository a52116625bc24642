// longshot init: writes the files of a small project of one's own.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "commands/command.h"
#include "commands/train/train.h"
#include "datasets/project/project.h"
#include "model/format/model_path.h"

namespace longshot::commands {
namespace {

namespace fs = std::filesystem;

// The program's name if a shell finds it by that, else its path.
std::string own_name() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  std::string folders = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "";
  while (!folders.empty()) {
    const size_t end = std::min(folders.find(':'), folders.size());
    if (fs::equivalent(fs::path(folders.substr(0, end)) / "longshot", self, error))
      return "longshot";
    folders.erase(0, end + 1);
  }
  return self.string();
}

Status run(datasets::ProjectOptions options) {
  if (!options.model.empty()) {
    LS_RETURN_IF_ERROR(model::find_model(options.model).status());
    options.model = fs::absolute(options.model).lexically_normal().string();
  }
  options.program = own_name();
  LS_ASSIGN_OR_RETURN(const auto names, datasets::write_project(options));
  fmt::print("{}: {}\n{}/README.md has the commands and explains the files\n", options.directory,
             fmt::join(names, ", "), options.directory);
  return ok_status();
}

}  // namespace

void add_init(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<datasets::ProjectOptions>();
  CLI::App* command = app.add_subcommand(
      "init", "Write a small project to begin with: rows, a reward, a configuration, a README");
  command->add_option("directory", options->directory, "Folder, created if needed")->required();
  command->add_option("--model", options->model,
                      fmt::format("Language model to train: {}; without it the README begins by "
                                  "making a tiny one",
                                  kModelHelp));
  command->callback([options, &exit_code] { exit_code = finish([&] { return run(*options); }); });
}

}  // namespace longshot::commands
