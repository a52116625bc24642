#pragma once
// POST /v1/load_lora_adapter and /v1/unload_lora_adapter, with the fields of vLLM's routes of the
// same names. They are refused with status 403 unless Context::may_load_adapters is set, because
// they read files that the client names and take memory.

#include <vector>

#include "net/reply.h"
#include "server/context.h"

namespace longshot::server {

// `context` must outlive the routes.
std::vector<net::Route> adapter_routes(const Context& context);

}  // namespace longshot::server
