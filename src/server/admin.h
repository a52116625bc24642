#pragma once
// Everything that generates nothing: models, tokens, health, metrics, pause, resume, new weights.

#include <vector>

#include "server/context.h"
#include "server/reply.h"

namespace longshot::server {

std::vector<Route> admin_routes(const Context& context);

}  // namespace longshot::server
