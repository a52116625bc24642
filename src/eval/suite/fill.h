#pragma once
// Fills templates with the columns of a row.

#include <string>

#include "base/json.h"
#include "base/status.h"

namespace longshot::eval {

// Replaces {column} by the value, {column.member} and {column.0} by a member or an element; {{ and
// }} are braces. Strings are inserted as they are, other values as one line of JSON. Error:
// invalid_argument that begins with `where` and names the missing column or the unclosed brace.
Result<std::string> fill(const std::string& text, const Json& row, const std::string& where);

// The value that {column} stands for if `text` is nothing else, or null.
const Json* only_column(const std::string& text, const Json& row);

}  // namespace longshot::eval
