#pragma once
// Whether a statement says that a right answer has more than one form, so that comparing outputs cannot judge it.

#include <optional>
#include <string>

namespace longshot::curate {

// The words that say so, none if there are none. What counts, in any case of letters and within one sentence:
//   any of them, one of them            after print, output, find, give, return, ...
//   any valid | possible | such | correct | optimal ... answer    at most three words after one of those
//   in any order                        the same: what is read may come in any order
//   several answers                     "multiple solutions are accepted", "if there are several answers, ..."
//   a tolerance                         "absolute or relative error", "will be considered correct if"
//   letters in any case                 "print each letter in any case"
//   a judge by name                     "special judge", "custom checker", "interactive problem"
// Problems that need one without saying so are dropped where submissions do not agree. Pure; thread-safe.
std::optional<std::string> special_judge_words(const std::string& statement);

}  // namespace longshot::curate
