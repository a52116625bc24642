#include "base/os/clock.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace longshot {

Deadline Deadline::after_seconds(double seconds) {
  if (seconds >= 1e9) return never();
  return Deadline(SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(
                                           std::chrono::duration<double>(std::max(0.0, seconds))));
}

double Deadline::seconds_left() const {
  if (at_ == SteadyClock::time_point::max()) return 1e9;
  return std::max(0.0, std::chrono::duration<double>(at_ - SteadyClock::now()).count());
}

int Deadline::milliseconds_left() const {
  if (at_ == SteadyClock::time_point::max()) return -1;
  return static_cast<int>(std::min(2e9, std::ceil(seconds_left() * 1000)));
}

std::string format_duration(double seconds) {
  const auto s = static_cast<long>(std::llround(std::max(0.0, seconds)));
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}h{:02}m", s / 3600, s % 3600 / 60);
}

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace longshot
