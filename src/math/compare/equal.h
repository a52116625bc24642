#pragma once
// Whether an answer equals the ground truth.

#include <string_view>

#include "base/os/clock.h"
#include "base/status.h"
#include "math/compare/symbolic_pool.h"

namespace longshot::math {

struct EqualOptions {
  // A decimal and another number agree when they are the same rounded to so many places.
  int digits = 6;
  // false: variables are matched by their order, brackets do not matter, a column vector is a tuple.
  bool strict = true;
  // Whether an inequality answers a ground truth that is a set. The other way round it always does: a model that
  // repeats the inequality it was given has not solved it.
  bool set_relation = false;
  // Whether 9% equals 9, as Math-Verify has it.
  bool bare_percent = true;
  // Whether different units of measurement are ignored. Missing ones always are.
  bool ignore_units = false;
  // Whether letters stand for positive numbers, so that \sqrt{x^2} = x.
  bool positive = false;
  SymbolicLimits limits;
};

// In order, the first that applies decides "yes"; if none does, the answer is wrong.
//  1. the same text after plain_math and text_key;
//  2. both are numbers that agree (numbers_agree);
//  3. both are expressions of the same value: told apart in doubles, proven by SymbolicPool;
//  4. both are lists of equal length whose elements are equal: (1,2) and [1,2] in order and with the same brackets;
//     {1,2}, "1, 2" and "1 and 2" in any order; a bare list also equals a bracketed one;
//  5. both are sets of real numbers with the same elements, as intervals, unions, differences, or inequalities;
//  6. matrices of equal entries;
//  7. relations that say the same; "x = 5" equals "5", and "y = 5" does not equal "x = 5"; the value of a chain
//     a = b = c is its last side, and x = 1/3 \approx 0.3 says 1/3. A chain of numbers alone must hold.
// A list never equals a single value, so "7 or 8" is not 7. Work in this process is bounded whatever the input; texts
// over 40,000 characters are compared as text only. Errors: those of SymbolicPool::equal, and exhausted for a pair of
// lists with over 300 elements that look equal.
Result<bool> equal_answers(std::string_view answer, std::string_view truth,
                           const EqualOptions& options = {}, Deadline deadline = Deadline::never());

}  // namespace longshot::math
