#pragma once
// What a run on many machines is doing: as JSON, for Prometheus, and as a table for people.

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "net/reply.h"

namespace longshot::loop {

// GET /v1/cluster and GET /metrics (Prometheus' text format). `status` returns the members of
// RemoteRollout::status(), and "run", "epoch" and "coordinator". It is called on any thread.
std::vector<net::Route> status_routes(std::function<Json()> status);

std::string status_metrics(const Json& status);
std::string status_table(const Json& status);

// Asks the coordinator of the run at `cluster` (etcd://...) for its status. Errors: there is no
// coordinator; it cannot be reached or refuses the token.
Result<Json> fetch_status(const std::string& cluster, const std::string& token_file);

}  // namespace longshot::loop
