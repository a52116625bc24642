#pragma once
// The sandbox over HTTP: /run_code as SandboxFusion has it, /run_tests, /health, /metrics. docs/sandbox.md lists the
// fields.

#include <vector>

#include "sandbox/sandbox.h"
#include "server/reply.h"
#include "server/server_metrics.h"

namespace longshot::server {

struct SandboxContext {
  sandbox::Sandbox& sandbox;
  ServerMetrics& metrics;
  sandbox::Limits limits;                  // where a request names none
  uint64_t max_memory_bytes = 4ull << 30;  // that a request may ask for
};

// `context` must outlive the routes' use.
std::vector<Route> sandbox_routes(const SandboxContext& context);

}  // namespace longshot::server
