#pragma once
// Options of the commands that are HTTP services.

#include <CLI/CLI.hpp>

#include "net/http_server.h"

namespace longshot::commands {

// --host, --port, --api-key and --grace (seconds). What they stand for now is their default.
void add_http_options(CLI::App& command, net::HttpOptions& http, double& grace);

// To be called when a service starts: lets large requests give their memory back to the system.
void return_memory_early();

}  // namespace longshot::commands
