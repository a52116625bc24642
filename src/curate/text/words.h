#pragma once
// The words of a text for comparisons: two texts that differ only in case, white space,
// punctuation or markup have the same words. Pure and thread-safe.

#include <string>
#include <string_view>

namespace longshot::curate {

// Returns the words in lower case, separated by single spaces, without a line feed. Invalid UTF-8
// is repaired; a text that is not ASCII is brought into NFKC, so that x² and x2, full-width and
// ordinary letters are equal. A word is
//   - a run of letters, digits and underscores, with the points inside decimal numbers,
//   - a Chinese, Japanese kana or Hangul character by itself,
//   - a mathematical sign (+ - * / = < > % ^ | and the symbols of Unicode) by itself. A hyphen
//     between letters and a run of equal signs, as in a Markdown rule, are no words.
// LaTeX commands are words without their backslash; those that only change the look (\left, \text,
// \displaystyle, ...) are left out, and \dfrac and \tfrac are frac, \times is *, \leq is <=.
std::string comparison_words(std::string_view text);

// The number of words.
size_t count_words(std::string_view words);

}  // namespace longshot::curate
