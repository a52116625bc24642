#pragma once
// Guesses the language of a text from its 1- to 3-grams, with the method and the profiles of
// langdetect 1.0.9 (Shuyo 2010, "Language Detection Library for Java"): naive Bayes over n-grams
// drawn at random, averaged over seven trials. langdetect draws differently at each call; here the
// draws are fixed, so a text always has the same language. Thread-safe.

#include <optional>
#include <string>
#include <string_view>

namespace longshot::reward {

// An ISO 639-1 code such as "en" (Chinese is "zh-cn" or "zh-tw"), or "unknown" if no language is
// likely. Nothing if the text has no known n-gram at all, for example only digits.
std::optional<std::string> language_of(std::string_view text);

}  // namespace longshot::reward
