#pragma once
// Request counters of a service, in the text format of Prometheus. Thread-safe.

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace longshot::net {

// Prometheus' histogram: counts the observations up to each edge.
class Histogram {
 public:
  void observe(double seconds);
  // Formats the lines of the text format.
  std::string format(const std::string& name, const std::string& help) const;

 private:
  static constexpr std::array<double, 14> kEdges = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                    0.25,  0.5,    1,     2.5,  5,     10,   30};
  mutable std::mutex mutex_;
  std::array<int64_t, kEdges.size() + 1> counts_{};  // the last element: above all edges
  double sum_ = 0;
};

// One metric in the text format; `type` is gauge or counter.
std::string metric_text(const std::string& name, const std::string& type, const std::string& help,
                        double value);

class RequestMetrics {
 public:
  void count(const std::string& route, int status);
  std::string format() const;  // Prometheus' text format 0.0.4

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> requests_;  // by route and status
};

}  // namespace longshot::net
