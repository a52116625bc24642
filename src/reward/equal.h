#pragma once
// Whether an answer equals the ground truth: the one place a stronger rule (symbolic equality) is
// added to.

#include <string>
#include <string_view>

namespace longshot::reward {

// In order, the first that applies decides "yes"; if none does, the answer is wrong.
//  1. the same text after plain_math and text_key;
//  2. both are numbers (parse_number) that agree (numbers_agree);
//  3. both are lists of equal length whose elements are equal: (1,2) and [1,2] in order and with
//  the same brackets;
//     {1,2}, "1, 2" and "1 and 2" in any order; a bare list also equals a bracketed one;
//  4. "x = 5" equals "5", and "y = 5" does not equal "x = 5"; in a chain a = b = c every side that
//  is a number must
//     agree with the last.
// A list never equals a single value, so "7 or 8" is not 7. Work is bounded whatever the input:
// texts over 40,000 characters are compared as text only.
bool equal_answers(std::string_view answer, std::string_view truth);

}  // namespace longshot::reward
