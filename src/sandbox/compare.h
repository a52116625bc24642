#pragma once
// Whether a program's answer is the expected one. All functions are thread-safe.

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace longshot::sandbox {

enum class Comparison {
  lines,   // white space at the ends of lines and empty lines at the end do not count
  tokens,  // only words count; numbers may differ by the tolerance
  exact,   // every byte
};

// "lines", "tokens", "exact".
std::optional<Comparison> parse_comparison(std::string_view name);

// The tolerance is absolute, or relative to the expected number, whichever allows more; 0: numbers are words.
bool same_output(std::string_view actual, std::string_view expected, Comparison comparison,
                 double tolerance);

// Values of JSON: numbers as above (1 and 1.0 are equal), everything else exactly.
bool same_value(const Json& actual, const Json& expected, double tolerance);

}  // namespace longshot::sandbox
