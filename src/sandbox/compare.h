#pragma once
// Whether a program's answer is the expected one. All functions are thread-safe.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace longshot::sandbox {

enum class Comparison {
  lines,  // white space at both ends of lines and empty lines at both ends of the text do not count
  tokens,  // only words count
  exact,   // every byte
};

// "lines", "tokens", "exact".
std::optional<Comparison> parse_comparison(std::string_view name);

// Two numbers are equal if they differ by no more than `value`, or by no more than that share of the expected one. 0:
// numbers are words.
struct Tolerance {
  double value = 0;
  // Whether an expected integer may be missed too. If not, a number has to be exactly its value but for a fraction of at
  // most `value`: 2.0 and 1.9999999 are 2, and 1000001 is never 1000000.
  bool integers = true;
};

// With a tolerance above 0 only words count within a line. `exact` knows no tolerance.
bool same_output(std::string_view actual, std::string_view expected, Comparison comparison,
                 const Tolerance& tolerance);

// Values of JSON: numbers as above by value (1 and 1.0 are equal, and as in Python so are 1 and true), everything else
// exactly.
bool same_value(const Json& actual, const Json& expected, const Tolerance& tolerance);

// The same for an answer as a JSON text of any size, compared while it is read.
bool same_answer(std::string_view actual, const Json& expected, const Tolerance& tolerance);

// What a right answer may take at most, written without white space: numbers may be written in other ways than the
// expected ones, everything else has its size.
uint64_t most_answer_bytes(const Json& expected);

}  // namespace longshot::sandbox
