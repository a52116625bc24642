#pragma once
// Intervals with outward brackets.

#include <string>
#include <string_view>

namespace longshot::math {

// ]2;5] as (2;5] and [2,5[ as [2,5). Text in which no bracket points outwards, or that has other
// square brackets, is unchanged. Linear.
std::string with_round_brackets(std::string_view plain);

}  // namespace longshot::math
