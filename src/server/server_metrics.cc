#include "server/server_metrics.h"

#include <fmt/core.h>

#include <algorithm>

namespace longshot::server {
namespace {

std::string head(const std::string& name, const std::string& type, const std::string& help) {
  return fmt::format("# HELP longshot_{0} {2}\n# TYPE longshot_{0} {1}\n", name, type, help);
}

}  // namespace

std::string metric_text(const std::string& name, const std::string& type, const std::string& help,
                        double value) {
  return head(name, type, help) + fmt::format("longshot_{} {}\n", name, value);
}

void Histogram::observe(double seconds) {
  const auto edge = std::lower_bound(kEdges.begin(), kEdges.end(), seconds);
  std::lock_guard lock(mutex_);
  ++counts_[edge - kEdges.begin()];
  sum_ += seconds;
}

std::string Histogram::format(const std::string& name, const std::string& help) const {
  std::string text = head(name, "histogram", help);
  std::lock_guard lock(mutex_);
  int64_t below = 0;
  for (size_t i = 0; i < kEdges.size(); ++i) {
    below += counts_[i];
    text += fmt::format("longshot_{}_bucket{{le=\"{}\"}} {}\n", name, kEdges[i], below);
  }
  below += counts_.back();
  text += fmt::format(
      "longshot_{0}_bucket{{le=\"+Inf\"}} {1}\nlongshot_{0}_sum {2}\nlongshot_{0}_count {1}\n",
      name, below, sum_);
  return text;
}

void ServerMetrics::count_request(const std::string& route, int status) {
  std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
}

std::string ServerMetrics::format_requests() const {
  std::string text = head("requests_total", "counter",
                          "requests answered, by route and status (499: the client went away)");
  std::lock_guard lock(mutex_);
  for (const auto& [key, count] : requests_) {
    text += fmt::format("longshot_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", key.first,
                        key.second, count);
  }
  return text;
}

std::string ServerMetrics::format(const rollout::WorkerStats& worker) const {
  const auto line = metric_text;
  std::string text = format_requests();
  text += line("samples_running", "gauge", "samples in the batch", worker.running);
  text += line("samples_waiting", "gauge", "samples that wait for a place", worker.waiting);
  text +=
      line("samples_finished_total", "counter", "samples that ran to their end", worker.finished);
  text += line("samples_aborted_total", "counter", "samples ended from outside", worker.aborted);
  text += line("generated_tokens_total", "counter", "tokens sampled", worker.generated_tokens);
  text += line("steps_total", "counter", "forward passes", worker.steps);
  text += line("busy_seconds_total", "counter", "time in forward passes", worker.busy_seconds);
  text += line("idle_seconds_total", "counter", "time without work or paused", worker.idle_seconds);
  text += line("paused", "gauge", "1 while generation is paused", worker.paused ? 1 : 0);
  text += line("weight_version", "gauge", "version of the weights", worker.version);
  text += line("kv_blocks", "gauge", "KV blocks of 16 tokens there are", worker.kv_blocks);
  text += line("kv_blocks_used", "gauge", "KV blocks held by samples", worker.kv_blocks_in_use);
  text += time_to_first_token.format("time_to_first_token_seconds",
                                     "from a sample's submission to its first token");
  text += inter_token.format("inter_token_seconds", "between two tokens of a sample");
  return text;
}

}  // namespace longshot::server
