#pragma once
// Names of programming languages, as in the info strings of fenced code blocks.

#include <string>
#include <string_view>

namespace longshot {

// Maps a name to a language that this project runs: "python", "cpp", "c", "bash" or "javascript".
// Ignores letter case and a version: "Python3.11", "C++17", "gnu++20" and "node" are known. Empty
// for any other word. Thread-safe.
std::string language_of_name(std::string_view name);

}  // namespace longshot
