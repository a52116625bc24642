#pragma once
// The sandbox over HTTP: /run_code as SandboxFusion has it, /run_tests, /health, /metrics. docs/sandbox.md lists the
// fields.

#include <vector>

#include "base/json.h"
#include "base/status.h"
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

// For callers in this process: whether the program of a /run_tests request passes its tests. invalid_argument: what the
// route answers with 400. unavailable: the sandbox's own fault. Else as sandbox::run_suite.
Result<bool> passes_tests(const SandboxContext& context, const Json& request,
                          const sandbox::Sandbox::Cancelled& cancelled);

}  // namespace longshot::server
