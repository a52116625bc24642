#pragma once
// One line that says where a long run is: bar, rate, time left. On a terminal it is rewritten in
// place; into a file only whole-iteration lines go.

#include <cstdint>
#include <string>

#include "base/os/clock.h"

namespace longshot::loop {

class ProgressLine {
 public:
  ProgressLine();

  // Iterations [first, total) lie ahead; time left is estimated from the ones finished since.
  void start(int64_t first, int64_t total);
  // Within an iteration, e.g. "rollout 45% 1,234 tok/s". At most ten times a second.
  void update(int64_t iteration, const std::string& text);
  // Ends the iteration with its headline figures.
  void finish(int64_t iteration, const std::string& text);
  // Clears the line before other output.
  void clear();

 private:
  std::string head(int64_t iteration) const;

  bool terminal_;
  int64_t first_ = 0, total_ = 0;
  Stopwatch since_start_, since_update_;
};

// "12,345"
std::string with_commas(int64_t value);

}  // namespace longshot::loop
