#pragma once
// POST /v1/completions.

#include "net/fields.h"
#include "net/reply.h"
#include "server/context.h"
#include "server/params.h"

namespace longshot::server {

OpenAiParams parse_completions(net::Fields& fields, const Context& context);
net::Reply completions(const Context& context, const net::Call& call);

}  // namespace longshot::server
