#pragma once
// Options of the commands that are HTTP services.

#include <CLI/CLI.hpp>

#include "net/http_server.h"

namespace longshot::commands {

// Adds --host, --port, --api-key and --grace (seconds). The current values become the defaults.
void add_http_options(CLI::App& command, net::HttpOptions& http, double& grace);

// Must be called when a service starts. Makes large requests return their memory to the system.
void return_memory_early();

}  // namespace longshot::commands
