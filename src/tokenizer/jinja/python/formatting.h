#pragma once
// Python's ways to format values as texts. Failures are jinja::Error.

#include <string>
#include <string_view>

#include "tokenizer/jinja/python/value.h"

namespace longshot::tokenizer::jinja {

// Escapes "&", "<", ">", "'" and '"' for HTML, as markupsafe does.
std::string escape_html(std::string_view text);

// format % values. A tuple contains several values, a dict named ones.
Value percent_format(const Value& format, const Value& values, Budget& budget);

// format.format(*positional, **named).
Value brace_format(const Value& format, const Values& positional,
                   const std::vector<std::pair<std::string, Value>>& named, Budget& budget);

}  // namespace longshot::tokenizer::jinja
