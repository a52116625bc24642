#pragma once
// Finds statements that allow more than one right output, which comparing outputs cannot judge.

#include <optional>
#include <string>

namespace longshot::curate {

// Returns the words that say so, nullopt if there are none. These are found, in any case of letters
// and within one sentence:
//   any of them, one of them            after print, output, find, give, return, ...
//   any valid | possible | such | correct | optimal ... answer
//                                       at most three words after one of those
//   in any order                        after print, output, ...: input may come in any order
//   several answers                     "multiple solutions are accepted",
//                                       "if there are several answers, ..."
//   a tolerance                         "absolute or relative error",
//                                       "will be considered correct if"
//   letters in any case                 "print each letter in any case"
//   a judge by name                     "special judge", "custom checker", "interactive problem"
// Problems that need a special judge without saying so are dropped if their submissions do not
// agree. Pure; thread-safe.
std::optional<std::string> special_judge_words(const std::string& statement);

}  // namespace longshot::curate
