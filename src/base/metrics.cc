#include "base/metrics.h"

#include <algorithm>

namespace longshot {

void Summary::add(double value) {
  max_ = count_ == 0 ? value : std::max(max_, value);
  min_ = count_ == 0 ? value : std::min(min_, value);
  sum_ += value;
  ++count_;
}

void Summary::merge(const Summary& other) {
  if (other.count_ == 0) return;
  max_ = count_ == 0 ? other.max_ : std::max(max_, other.max_);
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  sum_ += other.sum_;
  count_ += other.count_;
}

void Summary::report(const std::string& name, Metrics& metrics) const {
  metrics[name + "/mean"] = mean();
  metrics[name + "/max"] = max();
  metrics[name + "/min"] = min();
}

}  // namespace longshot
