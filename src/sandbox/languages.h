#pragma once
// The programming languages of the sandbox: a table.

#include <optional>
#include <string>
#include <vector>

#include "sandbox/job.h"

namespace longshot::sandbox {

struct Language {
  std::string name;
  std::vector<std::string> aliases;
  std::string source;                // the file to which the code is written
  std::vector<std::string> compile;  // empty: nothing to compile
  std::string binary;                // the file that the compiler produces
  std::vector<std::string> run;
  bool warm = false;                // the Python lane can run it
  bool limit_address_space = true;  // see Job
  std::string program;              // the host program that it needs
};

// Returns the languages whose program exists on this host and is visible in a jail that shows
// `directories` in addition to /usr. `python` is the interpreter; empty: none.
std::vector<Language> installed_languages(const std::string& python,
                                          const std::vector<std::string>& directories);

// Finds a language by its name, an alias, or any other name that language_of_name() knows.
const Language* find_language(const std::vector<Language>& languages, const std::string& name);

// "bash, cpp, python", for messages.
std::string language_names(const std::vector<Language>& languages);

}  // namespace longshot::sandbox
