#pragma once
// Numbers a stage reports about one iteration, by name. Names are verl's where verl has one
// (critic/rewards/mean, response_length/mean, timing_s/...). Plain values, never tensors.

#include <map>
#include <string>

namespace longshot {

using Metrics = std::map<std::string, double>;

// Adds count, mean, max and min of a stream of values as name/mean, name/max, name/min.
class Summary {
 public:
  void add(double value);
  // Adds the values of another stream after those of this one.
  void merge(const Summary& other);
  long count() const { return count_; }
  double mean() const { return count_ == 0 ? 0.0 : sum_ / static_cast<double>(count_); }
  double max() const { return count_ == 0 ? 0.0 : max_; }
  double min() const { return count_ == 0 ? 0.0 : min_; }
  void report(const std::string& name, Metrics& metrics) const;

 private:
  long count_ = 0;
  double sum_ = 0, max_ = 0, min_ = 0;
};

}  // namespace longshot
