#pragma once
// Comparing a JSON text from outside with an expected value while it is read.

#include <functional>
#include <string_view>

#include "base/json.h"

namespace longshot {

// Decides about two values of which at least one is neither a list nor an object. Large integers are exact numbers
// (base/json.h).
using SameScalar = std::function<bool(const Json& actual, const Json& expected)>;

// Whether the text is one JSON value that equals `expected`: lists item by item, objects by their keys (in any order,
// each once), everything else as `same` says. Reading ends at the first difference and keeps nothing, so the text may be
// of any size and depth. False for a text that is not JSON, and for numbers beyond double's range that are not integers.
// Thread-safe if `same` is.
bool json_text_matches(std::string_view text, const Json& expected, const SameScalar& same);

}  // namespace longshot
