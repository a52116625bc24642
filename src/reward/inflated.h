#pragma once
// Unpacks zlib streams.

#include <optional>
#include <string>
#include <string_view>

namespace longshot::reward {

// The content of a zlib stream; nothing if it is broken or unpacks to more than 256 MiB.
std::optional<std::string> inflated(std::string_view packed);

}  // namespace longshot::reward
