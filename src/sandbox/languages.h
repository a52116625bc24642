#pragma once
// The languages that programs come in: a table.

#include <optional>
#include <string>
#include <vector>

#include "sandbox/job.h"

namespace longshot::sandbox {

struct Language {
  std::string name;
  std::vector<std::string> aliases;
  std::string source;                // the file that the code is written to
  std::vector<std::string> compile;  // empty: nothing to compile
  std::string binary;                // what compiling makes
  std::vector<std::string> run;
  bool warm = false;                // the Python lane can run it
  bool limit_address_space = true;  // see Job
  std::string program;              // on which host program it depends
};

// Those whose program exists on this host and is visible in a jail that shows `directories` beside /usr. `python` is
// the interpreter; empty: none.
std::vector<Language> installed_languages(const std::string& python,
                                          const std::vector<std::string>& directories);

// By name, alias, or any other name that language_of_name() knows.
const Language* find_language(const std::vector<Language>& languages, const std::string& name);

// "bash, cpp, python", for messages.
std::string language_names(const std::vector<Language>& languages);

}  // namespace longshot::sandbox
