#pragma once
// POST /v1/completions.

#include "server/context.h"
#include "server/fields.h"
#include "server/params.h"
#include "server/reply.h"

namespace longshot::server {

OpenAiParams parse_completions(Fields& fields, const Context& context);
Reply completions(const Context& context, const Call& call);

}  // namespace longshot::server
