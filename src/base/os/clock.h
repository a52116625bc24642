#pragma once
// Time as an argument: code that waits accepts a Deadline, code that measures uses a Stopwatch.

#include <chrono>
#include <compare>
#include <string>

namespace longshot {

using SteadyClock = std::chrono::steady_clock;

// A point in time after which a call must have returned. Value type.
class Deadline {
 public:
  static Deadline after_seconds(double seconds);
  static Deadline never() { return Deadline(SteadyClock::time_point::max()); }

  bool expired() const { return SteadyClock::now() >= at_; }
  double seconds_left() const;                              // >= 0; a large number for never()
  int milliseconds_left() const;                            // for poll(2): >= 0, and -1 for never()
  auto operator<=>(const Deadline& other) const = default;  // the earlier one is less

 private:
  explicit Deadline(SteadyClock::time_point at) : at_(at) {}
  SteadyClock::time_point at_;
};

class Stopwatch {
 public:
  Stopwatch() : start_(SteadyClock::now()) {}
  double seconds() const {
    return std::chrono::duration<double>(SteadyClock::now() - start_).count();
  }
  void restart() { start_ = SteadyClock::now(); }

 private:
  SteadyClock::time_point start_;
};

std::string format_duration(double seconds);  // "41s", "3m20s", "2h05m"
double unix_time();                           // seconds since 1970

}  // namespace longshot
