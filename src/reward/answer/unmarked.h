#pragma once
// Finds answers that are not marked by a box, a phrase or a tag.

#include <optional>
#include <string>
#include <string_view>

namespace longshot::reward {

// Returns the whole text if it is one expression. Otherwise returns its last formula or, if a
// number follows that, its last number. Returns nullopt if the words next to it hedge ("7 or 8",
// "not 7").
std::optional<std::string> unmarked_answer(std::string_view text);

}  // namespace longshot::reward
