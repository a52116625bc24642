#pragma once
// The inference server: OpenAI's API and the routes that RL tools need, served by one engine
// thread.

#include <memory>

#include "base/status.h"
#include "net/http_server.h"
#include "server/context.h"

namespace longshot::server {

// Returns every route. `context` must outlive them.
std::vector<net::Route> all_routes(const Context& context);

}  // namespace longshot::server
