#pragma once
// Sets of real numbers: intervals, points, unions, intersections, differences, and inequalities in
// one unknown.

#include <optional>
#include <string>

#include "math/compare/comparer.h"
#include "math/read/answer.h"

namespace longshot::math {

struct SetForms {
  bool intervals = true;   // (1,2] and \{1,2\}, and operations on them
  bool relations = false;  // 1 < x \le 2, |x| \ge 3, x \ne 1
};

// True if the answer is written as a set, an interval or a bracketed list. The values do not
// matter.
bool is_set_form(const Answer& answer);

// The only unknown of inequalities, inside or outside bars: x in 1 < |x| < 2. Empty if there is
// none or more than one.
std::string unknown_of(const Answer& answer);

// Returns whether two sets have the same elements. nullopt if one of them is not a set with
// constant end points; only their written forms can then be compared. Errors: those of
// Comparer::equal_expressions, and exhausted for more than 100 end points.
Result<std::optional<bool>> equal_sets(const Answer& a, SetForms a_forms, const Answer& b,
                                       SetForms b_forms, Comparer& comparer);

}  // namespace longshot::math
