#pragma once
// What /metrics tells of a served model. Thread-safe.

#include <string>

#include "net/request_metrics.h"
#include "rollout/engine_thread.h"

namespace longshot::server {

struct ModelMetrics {
  net::RequestMetrics requests;
  net::Histogram time_to_first_token;  // of a sample, from its submission
  net::Histogram inter_token;

  // Prometheus' text format 0.0.4.
  std::string format(const rollout::EngineThreadStats& worker) const;
};

}  // namespace longshot::server
