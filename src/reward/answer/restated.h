#pragma once
// Whether what a response adds to its answer says the same again or gives a second answer.

#include <string>
#include <string_view>

namespace longshot::reward {

// Whether two written answers have the same value: \frac{1}{8} and 0.125, 90 minutes and 1.5 hours, 7 and seven; with
// `rounded` also 8.27 and 8.3, the same rounded to its last place. False when it cannot be told cheaply.
bool restates(std::string_view answer, std::string_view other, bool rounded);

// What a response adds behind its last box with the answer `boxed`: the tail of "or 8", or another announced answer that
// differs. Empty for an ordinary ending and for the same value again. Taking the box alone would pay for hedging.
std::string second_answer(std::string_view boxed, std::string_view rest);

}  // namespace longshot::reward
