#pragma once
// Gives the names of a parsed template their places.

#include "tokenizer/jinja/ast.h"

namespace longshot::tokenizer::jinja {

// Gives every name its place, by jinja2's scoping rules. Throws Error; `line` is then the line of
// the error.
void resolve_names(Program& program, int* line);

}  // namespace longshot::tokenizer::jinja
