#pragma once
// Compares a JSON text from outside with an expected value while the text is read.

#include <functional>
#include <string_view>

#include "base/json.h"

namespace longshot {

// Compares two values of which at least one is neither a list nor an object. Large integers are
// exact numbers (base/json.h).
using SameScalar = std::function<bool(const Json& actual, const Json& expected)>;

// True if the text is one JSON value that equals `expected`: lists are compared item by item,
// objects by their keys (in any order, each exactly once), everything else with `same`. Reading
// stops at the first difference and stores nothing, so the text may have any size and depth.
// Returns false for a text that is not JSON, and for numbers beyond double's range that are not
// integers. Thread-safe if `same` is.
bool json_text_matches(std::string_view text, const Json& expected, const SameScalar& same);

}  // namespace longshot
