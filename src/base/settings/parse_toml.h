#pragma once
// Parses TOML without exceptions and without a stack that input can exhaust.

#include <toml++/toml.h>
#include <string>

#include "base/status.h"

namespace longshot {

// `where` names the source in the error, which also has the line: "c.toml:3: ...".
Result<toml::table> parse_toml(const std::string& text, const std::string& where);

}  // namespace longshot
