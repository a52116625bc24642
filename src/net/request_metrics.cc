#include "net/request_metrics.h"

#include <fmt/core.h>

#include <algorithm>

namespace longshot::net {
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

void RequestMetrics::count(const std::string& route, int status) {
  std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
}

std::string RequestMetrics::format() const {
  std::string text = head("requests_total", "counter",
                          "requests answered, by route and status (499: the client went away)");
  std::lock_guard lock(mutex_);
  for (const auto& [key, count] : requests_) {
    text += fmt::format("longshot_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", key.first,
                        key.second, count);
  }
  return text;
}

}  // namespace longshot::net
