#pragma once
// The inference server: OpenAI's API and what RL tools need beside it, over one worker.

#include <memory>

#include "base/status.h"
#include "net/http_server.h"
#include "server/context.h"

namespace longshot::server {

// Every route. `context` must outlive their use.
std::vector<net::Route> all_routes(const Context& context);

}  // namespace longshot::server
