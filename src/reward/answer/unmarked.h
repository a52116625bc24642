#pragma once
// Answers that nothing marks.

#include <optional>
#include <string>
#include <string_view>

namespace longshot::reward {

// The whole text when it is one expression; else its last formula or, when a number follows that, its last number;
// nothing when the words next to it hedge ("7 or 8", "not 7").
std::optional<std::string> unmarked_answer(std::string_view text);

}  // namespace longshot::reward
