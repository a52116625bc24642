#pragma once
// A progress line for a long run on stderr: bar, text, time left. On a terminal it is rewritten in
// place; if stderr is not a terminal, only the lines of finished iterations are printed.

#include <cstdint>
#include <string>

#include "base/os/clock.h"

namespace longshot {

class ProgressLine {
 public:
  ProgressLine();

  // Begins before iterations [first, total). Time left is estimated from the iterations finished
  // since. total 0: the end is not known, so neither bar nor time is shown.
  void start(int64_t first, int64_t total);
  // Shows the state within an iteration, e.g. "training". Redraws at most ten times a second.
  void update(int64_t iteration, const std::string& text);
  // Ends the iteration with a permanent line of its main metrics.
  void finish(int64_t iteration, const std::string& text);
  // Clears the line; call it before other output.
  void clear();

 private:
  std::string head(int64_t iteration) const;

  bool terminal_;
  int64_t first_ = 0, total_ = 0;
  Stopwatch since_start_, since_update_;
};

// "12,345"
std::string with_commas(int64_t value);

}  // namespace longshot
