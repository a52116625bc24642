#pragma once
// Decides whether an answer equals the ground truth.

#include <string_view>

#include "base/os/clock.h"
#include "base/status.h"
#include "math/compare/symbolic_pool.h"

namespace longshot::math {

struct EqualOptions {
  // A decimal and another number agree if they are equal when rounded to this many places
  // (numbers_agree in math/read/rational.h has the exact rule).
  int digits = 6;
  // False: variables are matched by their order, brackets do not matter, a column vector is a
  // tuple.
  bool strict = true;
  // An inequality is accepted for a ground truth that is a set. Off by default, because a model
  // that repeats the inequality it was given has not solved it. A set is always accepted for a
  // ground truth that is an inequality.
  bool set_relation = false;
  // 9% equals 9, as in Math-Verify.
  bool bare_percent = true;
  // Different units of measurement are ignored. Missing ones always are.
  bool ignore_units = false;
  // Variables are positive numbers, so that \sqrt{x^2} = x.
  bool positive = false;
  SymbolicLimits limits;
};

// Returns true if one of these rules, tried in this order, says so; otherwise the answer is wrong.
// 1. They are the same text after plain_math and text_key.
// 2. Both are numbers that agree (numbers_agree).
// 3. Both are expressions of the same value. A difference is found in doubles; equality is proven
//    by SymbolicPool.
// 4. Both are lists of equal length whose elements are equal: (1,2) and [1,2] in order and with the
//    same brackets; {1,2}, "1, 2" and "1 and 2" in any order. A bare list also equals a bracketed
//    one.
// 5. Both are sets of real numbers with the same elements, as intervals, unions, differences, or
//    inequalities.
// 6. Both are matrices of equal entries.
// 7. Both are equivalent relations; "x = 5" equals "5", and "y = 5" does not equal "x = 5". The
//    value of a chain a = b = c is its last side; that of x = 1/3 \approx 0.3 is 1/3. A chain of
//    numbers only must be true.
// A list never equals a single value, so "7 or 8" is not 7. Work in this process is bounded for any
// input; texts over 40,000 characters are compared as text only.
// Errors: those of SymbolicPool::equal, and exhausted if a comparison needs more than 300 symbolic
// questions or a set has more than 100 end points.
Result<bool> equal_answers(std::string_view answer, std::string_view truth,
                           const EqualOptions& options = {}, Deadline deadline = Deadline::never());

}  // namespace longshot::math
