#pragma once
// Sets of real numbers: intervals, points, unions, intersections, differences, and inequalities in one unknown.

#include <optional>
#include <string>

#include "math/compare/comparer.h"
#include "math/read/answer.h"

namespace longshot::math {

struct SetForms {
  bool intervals = true;   // (1,2] and \{1,2\}, and operations on them
  bool relations = false;  // 1 < x \le 2, |x| \ge 3, x \ne 1
};

// Whether the answer has such a form, without looking at the values.
bool is_set_form(const Answer& answer);

// The one unknown of inequalities, in or out of bars: x of 1 < |x| < 2; empty when there is none or more than one.
std::string unknown_of(const Answer& answer);

// Whether two sets have the same elements. nullopt when one of them is no set with constant end points: then only
// their written forms can be compared.
Result<std::optional<bool>> equal_sets(const Answer& a, SetForms a_forms, const Answer& b,
                                       SetForms b_forms, Comparer& comparer);

}  // namespace longshot::math
