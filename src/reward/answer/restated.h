#pragma once
// Decides whether a text after an answer restates it or gives a second answer.

#include <string>
#include <string_view>

namespace longshot::reward {

// True if two written answers have the same value: \frac{1}{8} and 0.125, 90 minutes and 1.5 hours,
// 7 and seven. With `rounded`, also true for a value and the same value rounded to its last place:
// 8.27 and 8.3. False if this cannot be decided cheaply.
bool restates(std::string_view answer, std::string_view other, bool rounded);

// The second answer in `rest`, the text after the last box with the answer `boxed`: the tail of "or
// 8", or another announced answer that differs. Empty for an ordinary ending and for the same value
// again. Judging the box only would reward hedging.
std::string second_answer(std::string_view boxed, std::string_view rest);

}  // namespace longshot::reward
