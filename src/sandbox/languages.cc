#include "sandbox/languages.h"

#include <unistd.h>

#include <algorithm>

#include "base/os/machine.h"
#include "base/text/language_names.h"

namespace longshot::sandbox {
namespace {

std::vector<Language> table(const std::string& python) {
  const std::string gxx = find_in_path("g++"), gcc = find_in_path("gcc"),
                    node = find_in_path("node");
  return {
      {.name = "python",
       .aliases = {"python3", "py"},
       .source = "main.py",
       .compile = {},
       .binary = "",
       .run = {python, "main.py"},
       .warm = true,
       .program = python},
      {.name = "cpp",
       .aliases = {"c++", "cc", "g++", "cpp17", "cpp20"},
       .source = "main.cc",
       .compile = {gxx, "-std=c++20", "-O2", "-o", "main", "main.cc"},
       .binary = "main",
       .run = {"./main"},
       .program = gxx},
      {.name = "c",
       .aliases = {"gcc"},
       .source = "main.c",
       .compile = {gcc, "-std=c17", "-O2", "-o", "main", "main.c", "-lm"},
       .binary = "main",
       .run = {"./main"},
       .program = gcc},
      {.name = "bash",
       .aliases = {"sh", "shell"},
       .source = "main.sh",
       .compile = {},
       .binary = "",
       .run = {"/bin/bash", "main.sh"},
       .program = "/bin/bash"},
      {.name = "javascript",
       .aliases = {"nodejs", "node", "js"},
       .source = "main.js",
       .compile = {},
       .binary = "",
       .run = {node, "main.js"},
       .limit_address_space = false,  // reserves many times the memory that it uses
       .program = node},
  };
}

bool is_visible(const std::string& program, const std::vector<std::string>& directories) {
  if (program.empty() || ::access(program.c_str(), X_OK) != 0) return false;
  const auto below = [&](const std::string& directory) {
    return program.starts_with(directory + "/");
  };
  return below("/usr") || below("/bin") ||
         std::any_of(directories.begin(), directories.end(), below);
}

}  // namespace

std::vector<Language> installed_languages(const std::string& python,
                                          const std::vector<std::string>& directories) {
  std::vector<Language> languages = table(python);
  std::erase_if(languages, [&](const Language& l) { return !is_visible(l.program, directories); });
  return languages;
}

const Language* find_language(const std::vector<Language>& languages, const std::string& name) {
  for (const Language& language : languages) {
    const auto& aliases = language.aliases;
    if (language.name == name || std::find(aliases.begin(), aliases.end(), name) != aliases.end())
      return &language;
  }
  const std::string known = language_of_name(name);
  return known.empty() || known == name ? nullptr : find_language(languages, known);
}

std::string language_names(const std::vector<Language>& languages) {
  std::string names;
  for (const Language& language : languages) names += (names.empty() ? "" : ", ") + language.name;
  return names;
}

}  // namespace longshot::sandbox
