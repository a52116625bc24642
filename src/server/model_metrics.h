#pragma once
// The metrics of a served model on /metrics. Thread-safe.

#include <string>

#include "net/request_metrics.h"
#include "rollout/engine_thread.h"

namespace longshot::server {

struct ModelMetrics {
  net::RequestMetrics requests;
  net::Histogram time_to_first_token;  // of a sample, measured from its submission
  net::Histogram inter_token;

  // Prometheus' text format 0.0.4.
  std::string format(const rollout::EngineThreadStats& worker) const;
};

}  // namespace longshot::server
