#pragma once
// Splits English text into sentences with the unsupervised method of Kiss and Strunk (Computational
// Linguistics 32(4), 2006, "Punkt") and NLTK's model of it, and into words as NLTK's word_tokenize
// does. Thread-safe.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longshot::reward {

// The sentences with at least one character, in order, without the white space between them.
std::vector<std::string> sentences_of(std::string_view text);

// The words of all sentences, with punctuation and clitics as words of their own. Error: a text
// that is too hard for the expressions (rules/regex.h).
Result<std::vector<std::string>> words_of_sentences(std::string_view text);

}  // namespace longshot::reward
