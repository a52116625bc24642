#pragma once
// Turns Ctrl-C, SIGTERM and SIGHUP (a terminal or ssh connection that ends) into a flag. The first
// signal requests a clean stop with the state saved; the third Ctrl-C or SIGTERM ends the process
// at once. Long loops poll stop_requested().

#include "base/os/clock.h"

namespace longshot {

void install_stop_handler();
bool stop_requested();
// Sleeps until `end`. Returns false at once when a stop is requested.
bool sleep_unless_stopped(Deadline end);
void wait_for_stop();
// While one exists, the first signal ends the process with exit code 130: for calls that cannot
// poll while there is nothing to save.
class StopEndsProcess {
 public:
  StopEndsProcess();
  ~StopEndsProcess();
  StopEndsProcess(const StopEndsProcess&) = delete;
  StopEndsProcess& operator=(const StopEndsProcess&) = delete;
};

void request_stop();        // same effect as the signal; also for tests
void clear_stop_request();  // for tests

}  // namespace longshot
