#include "base/metrics.h"

#include <algorithm>

namespace longshot {

void Summary::add(double value) {
  max_ = count_ == 0 ? value : std::max(max_, value);
  min_ = count_ == 0 ? value : std::min(min_, value);
  sum_ += value;
  ++count_;
}

void Summary::report(const std::string& name, Metrics& metrics) const {
  metrics[name + "/mean"] = mean();
  metrics[name + "/max"] = max();
  metrics[name + "/min"] = min();
}

}  // namespace longshot
