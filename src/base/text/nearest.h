#pragma once
// Finds the known word that a mistyped one was probably meant to be. Thread-safe.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longshot {

// Levenshtein's distance: insertions, deletions and replacements of single bytes.
size_t edit_distance(std::string_view a, std::string_view b);

// The candidate with the smallest distance. Returns nothing if that distance is more than a third
// of the word's length, or more than two for a short word.
std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& candidates);

}  // namespace longshot
