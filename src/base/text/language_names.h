#pragma once
// The names that programming languages go by, as in the info strings of fenced code blocks.

#include <string>
#include <string_view>

namespace longshot {

// The one name of a language that this project runs: "python", "cpp", "c", "bash" or "javascript". Letter case and a
// version make no difference: "Python3.11", "C++17", "gnu++20" and "node" are known. Empty for any other word.
// Thread-safe.
std::string language_of_name(std::string_view name);

}  // namespace longshot
