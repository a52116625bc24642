#pragma once
// The sandbox over HTTP: /run_code in SandboxFusion's format, /run_tests, /health, /metrics.
// docs/sandbox.md lists the fields.

#include <vector>

#include "net/reply.h"
#include "net/request_metrics.h"
#include "sandbox/sandbox.h"
#include "sandbox/service/request.h"

namespace longshot::server {

struct SandboxContext {
  sandbox::Sandbox& sandbox;
  net::RequestMetrics& requests;
  sandbox::RequestDefaults defaults;
};

// `context` must outlive the routes.
std::vector<net::Route> sandbox_routes(const SandboxContext& context);

}  // namespace longshot::server
