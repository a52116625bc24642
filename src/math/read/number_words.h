#pragma once
// Numbers in English words.

#include <optional>
#include <string_view>

#include "math/read/rational.h"

namespace longshot::math {

// Reads "seven", "twenty-one apples", "one hundred and five", "minus two", "one half", "two
// thirds", followed by a unit or up to two nouns. nullopt for anything else.
std::optional<Number> number_in_words(std::string_view text);

}  // namespace longshot::math
