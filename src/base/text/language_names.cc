#include "base/text/language_names.h"

#include <algorithm>
#include <cctype>

namespace longshot {
namespace {

struct Names {
  const char* language;
  std::string_view names;  // without versions, one space around each
};
constexpr Names kNames[] = {
    {"python", " python py pypy cpython ipython pycon "},
    {"cpp", " cpp c++ cxx cc g++ clang++ gnu++ "},
    {"c", " c gcc ansi-c gnu "},
    {"bash", " bash sh shell zsh dash ksh shellscript shell-script "},
    {"javascript", " javascript js jsx mjs cjs node nodejs node.js ecmascript es "},
};

// Removes a version, as in "python3.11", "c++17", "g++-12" or "python_3". The caller must remove
// "(gcc 13)" from "cpp (gcc 13)".
std::string_view without_version(std::string_view name) {
  size_t end = name.size();
  while (end > 0 &&
         (std::isdigit(static_cast<unsigned char>(name[end - 1])) != 0 || name[end - 1] == '.'))
    --end;
  if (end == name.size()) {
    // Drafts of future C++ versions end with a letter: 2a, 2b.
    const size_t letter = name.size() - 1;
    const bool draft = name.size() > 2 &&
                       std::string_view("abcxyz").find(name[letter]) != name.npos &&
                       std::isdigit(static_cast<unsigned char>(name[letter - 1])) != 0;
    return draft ? without_version(name.substr(0, letter)) : name;
  }
  while (end > 0 && (name[end - 1] == '-' || name[end - 1] == '_' || name[end - 1] == ' ')) --end;
  return name.substr(0, end);
}

}  // namespace

std::string language_of_name(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::string word = " " + std::string(without_version(lower)) + " ";
  if (word.size() == 2 || word.find(' ', 1) + 1 != word.size()) return "";
  for (const Names& names : kNames) {
    if (names.names.find(word) != names.names.npos) return names.language;
  }
  return "";
}

}  // namespace longshot
