#pragma once
// All routes that do not generate: models, tokens, health, metrics, pause, resume, new weights.

#include <vector>

#include "net/reply.h"
#include "server/context.h"

namespace longshot::server {

std::vector<net::Route> admin_routes(const Context& context);

}  // namespace longshot::server
