#pragma once
// Words as sentences.h needs them: those of the Punkt method, and those of the Penn Treebank.

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longshot::reward {

// The words by which Punkt finds sentence ends: periods stay with the word before them.
std::vector<std::u32string> punkt_words(std::u32string_view text);
// Punctuation that ends a word of Punkt, other than a period.
bool ends_punkt_word(char32_t c);
// Digits with commas, periods and hyphens, perhaps with a period after them.
bool is_number_word(std::u32string_view word);

// The words of one sentence by the rules of the Penn Treebank (MacIntyre's tokenizer.sed) as NLTK
// extends them. Error: as for Regex::search.
Result<std::vector<std::string>> treebank_words(const std::string& sentence);

}  // namespace longshot::reward
