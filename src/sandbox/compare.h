#pragma once
// Decides whether a program's answer is the expected one. All functions are thread-safe.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace longshot::sandbox {

enum class Comparison {
  lines,  // ignores white space at both ends of each line, and blank lines at both ends of the text
  tokens,  // compares words only
  exact,   // compares every byte
};

// "lines", "tokens", "exact".
std::optional<Comparison> parse_comparison(std::string_view name);

// Two numbers are equal if they differ by at most `value`, or by at most `value` times the expected
// number. With 0, numbers are compared as words.
struct Tolerance {
  double value = 0;
  // True: the tolerance also applies to expected integers. False: an expected integer accepts no
  // other integer, and a non-integer only if it differs by at most `value`: 2.0 and 1.9999999 are
  // accepted for 2, but 1000001 is never accepted for 1000000.
  bool integers = true;
};

// With a tolerance above 0, lines are compared word by word. `exact` ignores the tolerance.
bool same_output(std::string_view actual, std::string_view expected, Comparison comparison,
                 const Tolerance& tolerance);

// Compares JSON values. Numbers are compared by value as above (1 equals 1.0, and as in Python 1
// equals true), everything else exactly.
bool same_value(const Json& actual, const Json& expected, const Tolerance& tolerance);

// Like same_value(), for an answer as a JSON text of any size, which is compared while it is read.
bool same_answer(std::string_view actual, const Json& expected, const Tolerance& tolerance);

// The largest size of a right answer, written without white space. Numbers may be written in other
// ways than the expected ones; everything else has the size of the expected value.
uint64_t max_answer_bytes(const Json& expected);

}  // namespace longshot::sandbox
