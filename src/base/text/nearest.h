#pragma once
// The known word that a mistyped one was probably meant to be. Thread-safe.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longshot {

// Levenshtein's distance: insertions, deletions and replacements of single bytes.
size_t edit_distance(std::string_view a, std::string_view b);

// The candidate with the smallest distance; none if that is more than a third of the word, or two
// for a short word.
std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& candidates);

}  // namespace longshot
