#pragma once
// What a run on many machines is doing: as JSON, for Prometheus, and as a table for people.

#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "loop/cluster/access.h"
#include "net/reply.h"

namespace longshot::loop {

// GET /v1/cluster and GET /metrics (Prometheus' text format). `status` returns the members of
// RemoteRollout::status(), and "run", "epoch", "leader" and "time" (seconds since 1970). It is
// called on any thread.
std::vector<net::Route> status_routes(std::function<Json()> status);

std::string status_metrics(const Json& status);
std::string status_table(const Json& status);

// Asks the coordinator of a run for its status. Errors: those of find_coordinator(); it cannot be
// reached or refuses the token.
Result<Json> fetch_status(Access& access);

}  // namespace longshot::loop
