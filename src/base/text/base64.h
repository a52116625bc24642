#pragma once
// Base64 of RFC 4648, with padding.

#include <optional>
#include <string>
#include <string_view>

namespace longshot {

std::string to_base64(std::string_view bytes);
// Returns nothing if the text is not base64.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace longshot
